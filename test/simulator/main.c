/*-------------------------------------------------------------------------
 *
 * main.c
 *	  pco_simulator: a server that behaves like the Planning Center API.
 *
 * Owns: the command line, the port and pid files, the signals.
 * Must never listen on anything but 127.0.0.1.
 *
 * IDENTIFICATION
 *	  test/simulator/main.c
 *
 *-------------------------------------------------------------------------
 */
#include "control.h"
#include "mutate.h"
#include "server.h"
#include "service.h"
#include "stats.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Page bodies of some 200 kB are reused by malloc instead of mapped anew. */
#define KEEP_IN_HEAP (64 * 1024 * 1024)

typedef struct options
{
	int			port;
	int			orgs;
	const char *port_file;
	const char *pid_file;
	const char *catalogue;
	bool		die_with_parent;
} options;

/*
 * usage ends the process with the list of options.
 */
static void
usage(void)
{
	fputs("usage: pco_simulator --port 0 --port-file FILE [--seed S] [--orgs N] [--people M]\n"
		  "         [--latency MS] [--rate-limit N] [--rate-period S] [--catalogue DIR]\n"
		  "         [--pid-file FILE] [--die-with-parent]\n", stderr);
	exit(2);
}

/*
 * write_number writes a file so that it is never seen half written.
 */
static void
write_number(const char *path, long number)
{
	sim_buf		temporary = {0};
	FILE	   *file;

	buf_printf(&temporary, "%s.new", path);
	file = fopen(temporary.data, "w");
	if (file == NULL || fprintf(file, "%ld\n", number) < 0 || fclose(file) != 0 ||
		rename(temporary.data, path) != 0)
	{
		perror(path);
		exit(1);
	}
	buf_free(&temporary);
}

/*
 * read_options reads the command line.
 */
static options
read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"port", required_argument, NULL, 'p'}, {"port-file", required_argument, NULL, 'f'},
		{"seed", required_argument, NULL, 's'}, {"orgs", required_argument, NULL, 'o'},
		{"people", required_argument, NULL, 'n'}, {"latency", required_argument, NULL, 'l'},
		{"rate-limit", required_argument, NULL, 'r'}, {"rate-period", required_argument, NULL, 't'},
		{"catalogue", required_argument, NULL, 'c'}, {"pid-file", required_argument, NULL, 'i'},
		{"die-with-parent", no_argument, NULL, 'd'}, {NULL, 0, NULL, 0}
	};
	options		o = {.orgs = 1};
	int			option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		switch (option)
		{
			case 'p':
				o.port = atoi(optarg);
				break;
			case 'f':
				o.port_file = optarg;
				break;
			case 's':
				control_seed = strtoull(optarg, NULL, 10);
				break;
			case 'o':
				o.orgs = atoi(optarg);
				break;
			case 'n':
				control_people = strtoull(optarg, NULL, 10);
				break;
			case 'l':
				service_latency = atoll(optarg);
				break;
			case 'r':
				rate_settings.limit = strtoull(optarg, NULL, 10);
				break;
			case 't':
				rate_settings.period = atoll(optarg) * USECS_PER_SEC;
				break;
			case 'c':
				o.catalogue = optarg;
				break;
			case 'i':
				o.pid_file = optarg;
				break;
			case 'd':
				o.die_with_parent = true;
				break;
			default:
				usage();
		}
	}
	if (optind < argc)
		usage();
	return o;
}

/*
 * catalogue_beside returns the catalogue directory next to the binary.
 */
static char *
catalogue_beside(void)
{
	char		path[4096];
	ssize_t		len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	sim_buf		directory = {0};
	char	   *slash;

	path[len > 0 ? len : 0] = '\0';
	slash = strrchr(path, '/');
	buf_add(&directory, path, slash ? (size_t) (slash - path + 1) : 0);
	buf_str(&directory, "catalogue");
	return directory.data;
}

/*
 * watch_signals returns a descriptor that becomes readable when the process
 * should end.
 */
static int
watch_signals(void)
{
	sigset_t	set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/*
 * main starts the simulator and serves until told to stop.
 */
int
main(int argc, char **argv)
{
	options		o = read_options(argc, argv);
	int			signal_fd = watch_signals();
	char	   *directory = o.catalogue ? sim_strdup(o.catalogue) : catalogue_beside();
	struct rlimit files;
	int			port;

	if (o.die_with_parent)
	{
		pid_t		parent = getppid();

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			return 0;			/* it is gone already */
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
	{
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	mallopt(M_MMAP_THRESHOLD, KEEP_IN_HEAP);
	mallopt(M_TRIM_THRESHOLD, KEEP_IN_HEAP);

	store_start(catalogue_load(directory));
	free(directory);
	for (int i = 1; i <= o.orgs; i++)
	{
		char		name[24];

		snprintf(name, sizeof(name), "org%d", i);
		org_create(name, control_seed, control_people);
	}
	port = server_start(o.port);
	if (port == 0)
	{
		fprintf(stderr, "pco_simulator: cannot listen on 127.0.0.1:%d\n", o.port);
		return 1;
	}
	if (o.pid_file != NULL)
		write_number(o.pid_file, (long) getpid());
	if (o.port_file != NULL)
		write_number(o.port_file, (long) port);
	else
	{
		printf("%d\n", port);
		fflush(stdout);
	}
	server_run(signal_fd);
	server_stop();
	paging_forget(NULL);
	fault_clear();
	fault_clear();				/* also what the first call only disarmed */
	stats_stop();
	store_stop();
	close(signal_fd);
	return 0;
}
