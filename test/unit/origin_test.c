/*-------------------------------------------------------------------------
 *
 * origin_test.c
 *	  Unit tests of origin.c and net_address.c: what may be reached, and every
 *	  trick to be taken for something that may.
 *
 * IDENTIFICATION
 *	  test/unit/origin_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "origin.h"
#include "unit.h"

#define PCO "https://api.planningcenteronline.com"

/* The canonical text of an origin, or "refused". */
static const char *
canonical(const char *text)
{
	static char result[ORIGIN_MAX_TEXT];
	Origin		origin;
	char		error[128] = "";

	if (!origin_parse(text, &origin, error, sizeof(error)))
		return error[0] != '\0' ? "refused" : "refused without a reason";
	origin_format(&origin, result, sizeof(result));
	return result;
}

/* "no", "public" or "private": what the list grants. */
static const char *
granted(const char *list, const char *text)
{
	Origin		origin;
	OriginRule	rule;
	char		error[128];

	if (!CHECK(origin_parse(text, &origin, error, sizeof(error))))
		return "not parsed";
	if (!origin_allowed(list, &origin, &rule))
		return "no";
	CHECK(strcmp(rule.origin.host, origin.host) == 0);
	return rule.allow_private ? "private" : "public";
}

static bool
same(const char *url, const char *origin_text)
{
	Origin		origin;
	char		error[128];

	CHECK(origin_parse(origin_text, &origin, error, sizeof(error)));
	return origin_same(url, &origin);
}

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *ipv4 = (struct sockaddr_in *) &storage;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *) &storage;

	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1)
		ipv4->sin_family = AF_INET;
	else if (CHECK(inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1))
		ipv6->sin6_family = AF_INET6;
	return storage;
}

/* Without and with a rule that allows private addresses: "yy", "ny", "nn". */
static const char *
permits(const char *text)
{
	struct sockaddr_storage storage = address(text);
	const struct sockaddr *socket_address = (struct sockaddr *) &storage;
	OriginRule	strict = {.allow_private = false};
	OriginRule	open = {.allow_private = true};
	bool		by_strict = origin_rule_permits(&strict, socket_address);
	bool		by_open = origin_rule_permits(&open, socket_address);

	CHECK_INT(origin_address_is_public(socket_address), by_strict);
	return by_strict ? (by_open ? "yy" : "yn") : (by_open ? "ny" : "nn");
}

static void
test_parse_accepts(void)
{
	CHECK_STR(canonical(PCO), PCO);
	CHECK_STR(canonical(PCO "/"), PCO);
	CHECK_STR(canonical("HTTPS://API.Example.COM"), "https://api.example.com");
	CHECK_STR(canonical("https://example.com:443"), "https://example.com");
	CHECK_STR(canonical("http://example.com:80/"), "http://example.com");
	CHECK_STR(canonical("http://example.com:443"), "http://example.com:443");
	CHECK_STR(canonical("https://a:65535"), "https://a:65535");
	CHECK_STR(canonical("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
	CHECK_STR(canonical("http://[::1]:8080"), "http://[::1]:8080");
	CHECK_STR(canonical("https://[2001:DB8:0:0::0001]/"),
			  "https://[2001:db8::1]");
	CHECK_STR(canonical("https://xn--bcher-kva.example"),
			  "https://xn--bcher-kva.example");
	CHECK_STR(canonical("http://127.0.0.1.evil.com"),
			  "http://127.0.0.1.evil.com");
}

static void
test_parse_refuses(void)
{
	static const char *const texts[] = {
		"", "https", "https:", "https://", "https:///", "//example.com",
		"ftp://example.com", "file:///etc/passwd", "example.com",
		" https://example.com", "https ://example.com",
		"https://example.com ", "https://exam ple.com", "https://exam\tple.com",
		"https://example.com\n", "https://example.com\r\nX: y",

		/* more than an origin */
		"https://example.com/path", "https://example.com//",
		"https://example.com?", "https://example.com/?a=b",
		"https://example.com#", "https://example.com/#x",

		/* user information */
		"https://user@example.com", "https://user:pass@example.com",
		"http://127.0.0.1@evil.com", "http://127.0.0.1:80@evil.com",
		"https://@example.com",

		/* ports */
		"https://example.com:", "https://example.com:0",
		"https://example.com:00443", "https://example.com:65536",
		"https://example.com:99999999999", "https://example.com:-1",
		"https://example.com:+443", "https://example.com:4 43",
		"https://example.com:443:443", "https://example.com:*",

		/* names */
		"https://example.com.", "https://.example.com", "https://.",
		"https://a..b", "https://-a.com", "https://a-.com",
		"https://exa_mple.com", "https://ex%61mple.com",
		"https://example.com%2f.evil.com", "https://example.com%00.evil.com",
		"https://b\xc3\xbc" "cher.example", "https://example.com\\@evil.com",
		"https://example.com\\.evil.com", "https://*.example.com",

		/* IPv4 in the spellings that resolvers repair */
		"http://0x7f.1", "http://0x7f000001", "http://0X7F.0.0.1",
		"http://127.1", "http://127.0.1", "http://2130706433", "http://0",
		"http://017700000001", "http://0177.0.0.1", "http://127.0.0.01",
		"http://127.0.0.0x1", "http://127.0.0.1.", "http://256.0.0.1",
		"http://1.2.3.4.5", "http://127.0.0", "http://1.2.3.0x",

		/* IPv6 */
		"http://::1", "http://[::1", "http://::1]", "http://[]",
		"http://[::1]x", "http://[::1]]", "http://[::1%25eth0]",
		"http://[fe80::1%eth0]", "http://[127.0.0.1]", "http://[::1]:",
		"http://[1:2:3:4:5:6:7:8:9]", "http://[gggg::]",
		"http://[0000000000000000000000000000000000000000000000000000::1]",
	};
	char		long_label[100] = "https://";
	char		long_host[400] = "https://";

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK_MSG(strcmp(canonical(texts[i]), "refused") == 0,
				  "accepted \"%s\" as \"%s\"", texts[i], canonical(texts[i]));

	memset(long_label + 8, 'a', 63);
	CHECK_STR(canonical(long_label), long_label);
	memset(long_label + 8, 'a', 64);
	CHECK_STR(canonical(long_label), "refused");

	for (int i = 0; i < 127; i++)
		strcat(long_host, "a.");
	long_host[8 + ORIGIN_MAX_HOST] = '\0';
	CHECK_STR(canonical(long_host), long_host);
	strcat(long_host, "bb");
	CHECK_STR(canonical(long_host), "refused");
}

static void
test_parse_never_echoes_secrets(void)
{
	Origin		origin;
	char		error[256];

	CHECK(!origin_parse("https://me:hunter2@example.com", &origin, error,
						sizeof(error)));
	CHECK(strstr(error, "hunter2") == NULL);
	CHECK(!origin_list_validate("a.com, https://me:hunter2@example.com", error,
								sizeof(error)));
	CHECK(strstr(error, "hunter2") == NULL);
	CHECK_STR(error, "entry 2: must not contain user information");
}

static void
test_list_validate(void)
{
	static const char *const good[] = {
		"", "  ", "api.planningcenteronline.com",
		" a.com ,\tb.com\n", "https://host:8443", "http://127.0.0.1:*",
		"http://127.0.0.1:8080", "http://[::1]:*,http://[::1]", "8.8.8.8",
		"http://10.1.2.3/",
	};
	static const char *const bad[] = {
		",", "a.com,", ",a.com", "a.com,,b.com", "a.com b.com", "a.com;b.com",
		"a.com:8443", "*", "*.a.com", "a.com/", "https://a.com/path",
		"https://a.com:8443:*", "https://a.com:*/", "https://:*", "https://*",
		"127.0.0.1", "10.0.0.1", "::1", "[::1]", "0x7f.1", "a.com.",
		"http://169.254.169.254", "http://0.0.0.0:80", "http://[fe80::1]",
		"http://224.0.0.1", "user@a.com", "ftp://a.com", "://a.com",
	};
	char		error[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK_MSG(origin_list_validate(good[i], error, sizeof(error)),
				  "refused \"%s\": %s", good[i], error);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_MSG(!origin_list_validate(bad[i], error, sizeof(error)),
				  "accepted \"%s\"", bad[i]);

	CHECK(!origin_list_validate("a.com, 127.0.0.1", error, sizeof(error)));
	CHECK_STR(error, "entry 2: is not a public address; to allow it, write"
			  " the whole origin, as https://host:port");
}

static void
test_allowed(void)
{
	static const char *const list =
		"API.Example.com, https://inside:8443, http://127.0.0.1:*,"
		" http://[::1]:8080, http://plain.example";

	CHECK_STR(granted(list, "https://api.example.com"), "public");
	CHECK_STR(granted(list, "https://api.example.com:443"), "public");
	CHECK_STR(granted(list, "https://api.example.com:8443"), "no");
	CHECK_STR(granted(list, "http://api.example.com"), "no");
	CHECK_STR(granted(list, "http://api.example.com:443"), "no");
	CHECK_STR(granted(list, "https://evil-api.example.com"), "no");
	CHECK_STR(granted(list, "https://api.example.com.evil.com"), "no");
	CHECK_STR(granted(list, "https://example.com"), "no");

	CHECK_STR(granted(list, "https://inside:8443"), "private");
	CHECK_STR(granted(list, "https://inside"), "no");
	CHECK_STR(granted(list, "http://inside:8443"), "no");

	CHECK_STR(granted(list, "http://127.0.0.1:1"), "private");
	CHECK_STR(granted(list, "http://127.0.0.1"), "private");
	CHECK_STR(granted(list, "https://127.0.0.1"), "no");
	CHECK_STR(granted(list, "http://127.0.0.2:1"), "no");
	CHECK_STR(granted(list, "http://127.0.0.1.evil.com"), "no");
	CHECK_STR(granted(list, "http://localhost:8080"), "no");

	CHECK_STR(granted(list, "http://[0:0:0:0:0:0:0:1]:8080"), "private");
	CHECK_STR(granted(list, "http://[::1]:8081"), "no");
	CHECK_STR(granted(list, "http://[::ffff:127.0.0.1]:8080"), "no");
	CHECK_STR(granted(list, "http://plain.example"), "private");
	CHECK_STR(granted(list, "https://plain.example"), "no");

	CHECK_STR(granted("", PCO), "no");
	CHECK_STR(granted("a.com,api.planningcenteronline.com", PCO), "public");

	/* The entry that grants more decides, in either order. */
	CHECK_STR(granted("h.example,https://h.example", "https://h.example"),
			  "private");
	CHECK_STR(granted("https://h.example,h.example", "https://h.example"),
			  "private");

	/* An invalid entry grants nothing, and takes nothing from the others. */
	CHECK_STR(granted("127.0.0.1,a.com", "https://127.0.0.1"), "no");
	CHECK_STR(granted("%%%,a.com", "https://a.com"), "public");
}

static void
test_same(void)
{
	CHECK(same(PCO "/people/v2/people?per_page=100&offset=100", PCO));
	CHECK(same(PCO, PCO));
	CHECK(same(PCO "?a", PCO));
	CHECK(same(PCO ":443/x#y", PCO));
	CHECK(same("HTTPS://API.PlanningCenterOnline.com/x", PCO));
	CHECK(same(PCO "/x?next=https://user@evil.com/", PCO));
	CHECK(same("http://[::1]:80/a", "http://[::1]"));

	CHECK(!same("/people/v2", PCO));
	CHECK(!same("//api.planningcenteronline.com/people", PCO));
	CHECK(!same("", PCO));
	CHECK(!same("http://api.planningcenteronline.com/x", PCO));
	CHECK(!same(PCO ":444/x", PCO));
	CHECK(!same(PCO ".evil.com/x", PCO));
	CHECK(!same(PCO "@evil.com/x", PCO));
	CHECK(!same("https://u:p@api.planningcenteronline.com/x", PCO));
	CHECK(!same(PCO "./x", PCO));
	CHECK(!same(PCO "%2eevil.com/x", PCO));
	CHECK(!same(PCO "\\@evil.com/x", PCO));
	CHECK(!same(PCO "/x\\y", PCO));
	CHECK(!same(PCO "/x y", PCO));
	CHECK(!same(PCO "/x\r\nHost: evil.com", PCO));
	CHECK(!same(PCO "/\xc3\xbc", PCO));
	CHECK(!same(" " PCO "/x", PCO));
	CHECK(!same("https:/api.planningcenteronline.com/x", PCO));
	CHECK(!same("https:\\\\api.planningcenteronline.com/x", PCO));
	CHECK(!same("http://0x7f.1/x", "http://127.0.0.1"));
	CHECK(!same("http://127.1/x", "http://127.0.0.1"));
	CHECK(!same("http://127.0.0.1.evil.com/", "http://127.0.0.1"));
	CHECK(!same("http://127.0.0.1:8080/", "http://127.0.0.1"));
}

static void
test_addresses(void)
{
	static const char *const public[] = {
		"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255",
		"100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2606:4700::1111", "2a00::1", "2001:4860:4860::8888", "3ffe::1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	};
	static const char *const private[] = {
		"10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
		"127.0.0.1", "127.255.255.255", "172.16.0.0", "172.31.255.255",
		"192.168.0.1", "198.18.0.1", "198.19.255.255",
		"::1", "fc00::1", "fdff:ffff::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1",
	};
	static const char *const never[] = {
		"0.0.0.0", "0.255.255.255", "169.254.0.1", "169.254.169.254",
		"192.0.0.1", "192.0.2.1", "192.88.99.1", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255",
		"::", "::2", "::127.0.0.1", "fe80::1", "febf::1", "fec0::1",
		"ff02::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
		"3fff:fff::1", "64:ff9b:1::1", "4000::1", "1fff::1",
		"::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::169.254.169.254",
	};
	struct sockaddr_storage unix_socket = {.ss_family = AF_UNIX};

#define ALL(list, expected) \
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) \
		CHECK_MSG(strcmp(permits(list[i]), expected) == 0, \
				  "%s: %s", list[i], permits(list[i]))
	ALL(public, "yy");
	ALL(private, "ny");
	ALL(never, "nn");
#undef ALL

	CHECK(!origin_address_is_public((struct sockaddr *) &unix_socket));
}

int
main(void)
{
	test_parse_accepts();
	test_parse_refuses();
	test_parse_never_echoes_secrets();
	test_list_validate();
	test_allowed();
	test_same();
	test_addresses();
	return unit_summary();
}
