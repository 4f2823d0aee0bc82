/*-------------------------------------------------------------------------
 *
 * secret_box_test.c
 *	  Unit tests of secret_box.c: nothing that was altered opens, and no key
 *	  file that others could read or replace is taken.
 *
 * IDENTIFICATION
 *	  test/unit/secret_box_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret_box.h"
#include "unit.h"

#define AAD "org 1/secret"

static const uint8_t key[SECRET_BOX_KEY_LEN] = "0123456789abcdef0123456789abcde";
static const char plain[] = "pco_pat_not_a_real_one";

/* A box, and what opens from it. */
typedef struct Box
{
	uint8_t		sealed[256];
	size_t		sealed_len;
	char		opened[256];
	size_t		opened_len;
} Box;

static void
seal(Box *box, const char *text, size_t len)
{
	box->sealed_len = sizeof(box->sealed);
	CHECK(secret_box_seal(key, AAD, strlen(AAD), text, len,
						  box->sealed, &box->sealed_len));
	CHECK_INT(box->sealed_len, len + SECRET_BOX_OVERHEAD);
}

static bool
opens(Box *box)
{
	memset(box->opened, 'x', sizeof(box->opened));
	box->opened_len = sizeof(box->opened);
	return secret_box_open(key, AAD, strlen(AAD), box->sealed,
						   box->sealed_len, box->opened, &box->opened_len);
}

static void
test_round_trip(void)
{
	Box			box;
	Box			other;
	char		all_bytes[200];

	seal(&box, plain, sizeof(plain));
	CHECK(opens(&box));
	CHECK_INT(box.opened_len, sizeof(plain));
	CHECK_STR(box.opened, plain);
	CHECK(memmem(box.sealed, box.sealed_len, plain, 8) == NULL);

	/* The same secret never looks the same twice. */
	seal(&other, plain, sizeof(plain));
	CHECK(memcmp(box.sealed, other.sealed, box.sealed_len) != 0);

	for (size_t len = 0; len <= sizeof(all_bytes); len++)
	{
		memset(all_bytes, (int) len, sizeof(all_bytes));
		seal(&box, all_bytes, len);
		CHECK(opens(&box));
		CHECK_INT(box.opened_len, len);
		CHECK(memcmp(box.opened, all_bytes, len) == 0);
	}
}

static void
test_any_bit_flipped(void)
{
	Box			box;

	seal(&box, plain, sizeof(plain));
	for (size_t bit = 0; bit < box.sealed_len * 8; bit++)
	{
		box.sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
		CHECK(!opens(&box));

		/* Nothing of the plaintext is left behind. */
		CHECK(memmem(box.opened, sizeof(box.opened), plain + 4, 8) == NULL);
		box.sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	CHECK(opens(&box));
}

static void
test_any_length_but_its_own(void)
{
	Box			box;
	size_t		len;

	seal(&box, plain, sizeof(plain));
	len = box.sealed_len;
	for (box.sealed_len = 0; box.sealed_len < len; box.sealed_len++)
		CHECK(!opens(&box));
	box.sealed_len = len + 1;
	CHECK(!opens(&box));
}

static void
test_foreign_context(void)
{
	Box			box;
	uint8_t		foreign[SECRET_BOX_KEY_LEN];

	seal(&box, plain, sizeof(plain));
	memcpy(foreign, key, sizeof(foreign));
	foreign[31] ^= 1;
	box.opened_len = sizeof(box.opened);
	CHECK(!secret_box_open(foreign, AAD, strlen(AAD), box.sealed,
						   box.sealed_len, box.opened, &box.opened_len));
	CHECK(!secret_box_open(key, "org 2/secret", strlen(AAD), box.sealed,
						   box.sealed_len, box.opened, &box.opened_len));
	CHECK(!secret_box_open(key, NULL, 0, box.sealed,
						   box.sealed_len, box.opened, &box.opened_len));
	CHECK_INT(box.opened_len, sizeof(box.opened));
}

static void
test_room(void)
{
	Box			box;

	box.sealed_len = sizeof(plain) + SECRET_BOX_OVERHEAD - 1;
	CHECK(!secret_box_seal(key, AAD, strlen(AAD), plain, sizeof(plain),
						   box.sealed, &box.sealed_len));
	seal(&box, plain, sizeof(plain));
	box.opened_len = sizeof(plain) - 1;
	CHECK(!secret_box_open(key, AAD, strlen(AAD), box.sealed, box.sealed_len,
						   box.opened, &box.opened_len));
	box.opened_len = sizeof(plain);
	CHECK(secret_box_open(key, AAD, strlen(AAD), box.sealed, box.sealed_len,
						  box.opened, &box.opened_len));
}

/* The error of secret_box_load_key without the path, or "" if it loads. */
static const char *
load_error(const char *path)
{
	static char error[512];
	uint8_t		loaded[SECRET_BOX_KEY_LEN];
	static const uint8_t zero[SECRET_BOX_KEY_LEN];
	const char *after_path;

	memset(loaded, 'x', sizeof(loaded));
	if (secret_box_load_key(path, loaded, error, sizeof(error)))
		return "";
	if (access(path, R_OK) == 0 && error[0] == '\0')
		return "no reason given";

	/* What a refused file held is not in our memory. */
	CHECK(memcmp(loaded, zero, sizeof(loaded)) == 0 ||
		  loaded[0] == 'x');
	after_path = strstr(error, "\" ");
	return after_path != NULL ? after_path + 2 : error;
}

static void
write_file(const char *path, const char *content, size_t len, mode_t mode)
{
	int			fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, content, len), len);
	CHECK_INT(fchmod(fd, mode), 0);
	close(fd);
}

static void
test_key_file(void)
{
	char		directory[] = "/tmp/secret_box_test.XXXXXX";
	char		path[64];
	char		link_path[64];
	char		error[512];
	char		content[64];
	uint8_t		first[SECRET_BOX_KEY_LEN] = {0};
	uint8_t		second[SECRET_BOX_KEY_LEN] = {0};
	struct stat file;

	if (!CHECK(mkdtemp(directory) != NULL))
		return;
	snprintf(path, sizeof(path), "%s/key", directory);
	snprintf(link_path, sizeof(link_path), "%s/link", directory);

	CHECK_STR(load_error(path), "could not be opened: No such file or directory");

	CHECK(secret_box_create_key(path, error, sizeof(error)));
	CHECK_INT(stat(path, &file), 0);
	CHECK_INT(file.st_mode & 07777, 0600);
	CHECK_INT(file.st_size, SECRET_BOX_KEY_LEN);
	CHECK_INT(file.st_nlink, 1);	/* the draft is gone */
	CHECK(secret_box_load_key(path, first, error, sizeof(error)));
	CHECK(memcmp(first, second, sizeof(first)) != 0);

	/* Kept, not replaced. */
	CHECK(secret_box_create_key(path, error, sizeof(error)));
	CHECK(secret_box_load_key(path, second, error, sizeof(error)));
	CHECK(memcmp(first, second, sizeof(first)) == 0);

	/* A different one each time. */
	CHECK_INT(unlink(path), 0);
	CHECK(secret_box_create_key(path, error, sizeof(error)));
	CHECK(secret_box_load_key(path, second, error, sizeof(error)));
	CHECK(memcmp(first, second, sizeof(first)) != 0);

	for (int bit = 0; bit < 6; bit++)
	{
		CHECK_INT(chmod(path, (mode_t) (0600 | 1 << bit)), 0);
		CHECK_STR(load_error(path),
				  "is open to group or others; its mode should be 0600");
	}
	CHECK_INT(chmod(path, 0400), 0);
	CHECK_STR(load_error(path), "");

	CHECK_INT(symlink(path, link_path), 0);
	CHECK_STR(load_error(link_path), "is a symbolic link");
	CHECK(secret_box_create_key(link_path, error, sizeof(error)));
	CHECK_STR(load_error(link_path), "is a symbolic link");
	CHECK_INT(unlink(link_path), 0);

	CHECK_STR(load_error(directory), "is not a regular file");
	CHECK_INT(mkfifo(link_path, 0600), 0);
	CHECK_STR(load_error(link_path), "is not a regular file");
	CHECK_INT(unlink(link_path), 0);

	CHECK_INT(unlink(path), 0);
	memset(content, 'k', sizeof(content));
	for (size_t len = 0; len <= sizeof(content); len++)
	{
		write_file(path, content, len, 0600);
		CHECK_STR(load_error(path), len == SECRET_BOX_KEY_LEN ? "" :
				  "does not hold exactly 32 bytes");
	}
	CHECK_INT(unlink(path), 0);

	if (geteuid() == 0)
	{
		write_file(path, content, SECRET_BOX_KEY_LEN, 0600);
		CHECK_INT(chown(path, 65534, 65534), 0);
		CHECK_STR(load_error(path), "belongs to another user");
		CHECK_INT(unlink(path), 0);
	}

	/* Nothing else is left in the directory. */
	snprintf(path, sizeof(path), "%s/missing/key", directory);
	CHECK(!secret_box_create_key(path, error, sizeof(error)));
	CHECK(strstr(error, "No such file or directory") != NULL);
	CHECK_INT(rmdir(directory), 0);
}

int
main(void)
{
	test_round_trip();
	test_any_bit_flipped();
	test_any_length_but_its_own();
	test_foreign_context();
	test_room();
	test_key_file();
	return unit_summary();
}
