/*-------------------------------------------------------------------------
 *
 * secret_box.c
 *	  AES-256-GCM by libcrypto, and the file that holds the key.
 *
 * It owns the sealed format (secret_box.h) and the key file's. It must never
 * write a key or a plaintext anywhere but into the caller's buffer, overwrite
 * a key file (what it sealed would be lost), or leave a part of a plaintext
 * behind when a box does not open. Every function returns; none allocates
 * (libcrypto's own contexts apart).
 *
 * IDENTIFICATION
 *	  src/secret_box.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret_box.h"

/* First byte of every box, authenticated with it. */
#define FORMAT_VERSION 1

/* As long as PostgreSQL's MAXPGPATH: nobody's data directory is deeper. */
#define MAX_PATH 1024

static bool set_error(char *error, size_t error_len, const char *what,
					  const char *path, int code);
static int	feed_aad(EVP_CIPHER_CTX *ctx, const void *aad, size_t aad_len);
static bool check_key_file(int fd, const char **problem);
static bool read_all(int fd, uint8_t *buffer, size_t len);
static bool write_all(int fd, const uint8_t *buffer, size_t len);
static bool sync_parent(const char *path);


/*
 * secret_box_seal encrypts under a fresh random nonce. With random 96-bit
 * nonces a key is good for 2^32 boxes, far more than credentials will ever be
 * stored.
 */
bool
secret_box_seal(const uint8_t key[SECRET_BOX_KEY_LEN],
				const void *aad, size_t aad_len,
				const void *plain, size_t len,
				uint8_t *out, size_t *out_len)
{
	uint8_t    *nonce = out + 1;
	uint8_t    *cipher = nonce + SECRET_BOX_NONCE_LEN;
	EVP_CIPHER_CTX *ctx;
	int			written;
	bool		ok;

	if (len > INT_MAX - SECRET_BOX_OVERHEAD || aad_len > INT_MAX ||
		*out_len < len + SECRET_BOX_OVERHEAD)
		return false;

	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return false;

	out[0] = FORMAT_VERSION;
	ok = RAND_bytes(nonce, SECRET_BOX_NONCE_LEN) == 1 &&
		EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
		feed_aad(ctx, aad, aad_len) == 1 &&
		EVP_EncryptUpdate(ctx, cipher, &written, plain, (int) len) == 1 &&
		EVP_EncryptFinal_ex(ctx, cipher + len, &written) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SECRET_BOX_TAG_LEN,
							cipher + len) == 1;
	EVP_CIPHER_CTX_free(ctx);	/* wipes the key schedule */

	if (ok)
		*out_len = len + SECRET_BOX_OVERHEAD;
	return ok;
}

/*
 * secret_box_open decrypts what secret_box_seal made. GCM yields plaintext
 * before the tag is checked, so on failure out is wiped.
 */
bool
secret_box_open(const uint8_t key[SECRET_BOX_KEY_LEN],
				const void *aad, size_t aad_len,
				const uint8_t *sealed, size_t sealed_len,
				void *out, size_t *out_len)
{
	EVP_CIPHER_CTX *ctx;
	const uint8_t *nonce;
	const uint8_t *cipher;
	uint8_t		tag[SECRET_BOX_TAG_LEN];
	uint8_t		unused[16];		/* GCM's final block is always empty */
	size_t		len;
	int			written;
	bool		ok;

	if (sealed_len < SECRET_BOX_OVERHEAD || sealed_len > INT_MAX ||
		aad_len > INT_MAX || sealed[0] != FORMAT_VERSION)
		return false;
	len = sealed_len - SECRET_BOX_OVERHEAD;
	if (*out_len < len)
		return false;

	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return false;

	nonce = sealed + 1;
	cipher = nonce + SECRET_BOX_NONCE_LEN;
	memcpy(tag, cipher + len, sizeof(tag)); /* the control call takes no const */
	ok = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
		feed_aad(ctx, aad, aad_len) == 1 &&
		EVP_DecryptUpdate(ctx, out, &written, cipher, (int) len) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag) == 1 &&
		EVP_DecryptFinal_ex(ctx, unused, &written) == 1;
	EVP_CIPHER_CTX_free(ctx);

	if (ok)
		*out_len = len;
	else
		explicit_bzero(out, len);
	return ok;
}

/*
 * secret_box_load_key reads the key file after the same kind of checks that
 * ssh and the server make on theirs. All are made on the open descriptor, so
 * that the file checked is the file read.
 */
bool
secret_box_load_key(const char *path, uint8_t key[SECRET_BOX_KEY_LEN],
					char *error, size_t error_len)
{
	const char *problem = NULL;
	int			fd;

	/* O_NONBLOCK: a FIFO put in its place must not hang us. */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
	{
		if (errno == ELOOP)
			return set_error(error, error_len, "is a symbolic link", path, 0);
		return set_error(error, error_len, "could not be opened", path, errno);
	}

	if (check_key_file(fd, &problem) &&
		!read_all(fd, key, SECRET_BOX_KEY_LEN))
		problem = "could not be read";
	close(fd);

	if (problem != NULL)
	{
		explicit_bzero(key, SECRET_BOX_KEY_LEN);
		return set_error(error, error_len, problem, path, 0);
	}
	return true;
}

/*
 * secret_box_create_key publishes a new key by linking a finished, synced
 * file to its name: link() never overwrites, and no crash can leave half a
 * key behind under the name.
 */
bool
secret_box_create_key(const char *path, char *error, size_t error_len)
{
	uint8_t		key[SECRET_BOX_KEY_LEN];
	char		draft[MAX_PATH];
	struct stat existing;
	int			length;
	int			fd;
	bool		written;
	int			code;

	if (lstat(path, &existing) == 0)
		return true;

	length = snprintf(draft, sizeof(draft), "%s.XXXXXX", path);
	if (length < 0 || (size_t) length >= sizeof(draft))
		return set_error(error, error_len, "has too long a path", path, 0);
	fd = mkostemp(draft, O_CLOEXEC);	/* O_EXCL, mode 0600 */
	if (fd < 0)
		return set_error(error, error_len, "could not be created", path, errno);

	written = RAND_priv_bytes(key, sizeof(key)) == 1 &&
		write_all(fd, key, sizeof(key)) &&
		fsync(fd) == 0;
	code = errno;
	explicit_bzero(key, sizeof(key));
	close(fd);

	if (written && link(draft, path) != 0)
	{
		code = errno;
		written = code == EEXIST;	/* another process was first */
	}
	unlink(draft);

	if (written && !sync_parent(path))
	{
		code = errno;
		written = false;
	}
	if (!written)
		return set_error(error, error_len, "could not be created", path, code);
	return true;
}

/*
 * set_error writes a message and returns false. code is an errno, or 0.
 */
static bool
set_error(char *error, size_t error_len, const char *what, const char *path,
		  int code)
{
	if (code != 0)
		snprintf(error, error_len, "key file \"%s\" %s: %s", path, what,
				 strerror(code));
	else
		snprintf(error, error_len, "key file \"%s\" %s", path, what);
	return false;
}

/*
 * feed_aad authenticates the version, which is not encrypted, and the
 * caller's data.
 */
static int
feed_aad(EVP_CIPHER_CTX *ctx, const void *aad, size_t aad_len)
{
	static const uint8_t version = FORMAT_VERSION;
	int			unused;

	/* For GCM, output to NULL means authenticated data in both directions. */
	return EVP_CipherUpdate(ctx, NULL, &unused, &version, 1) == 1 &&
		(aad_len == 0 ||
		 EVP_CipherUpdate(ctx, NULL, &unused, aad, (int) aad_len) == 1);
}

/*
 * check_key_file makes sure that only our own user could have put the key
 * there or read it.
 */
static bool
check_key_file(int fd, const char **problem)
{
	struct stat file;

	if (fstat(fd, &file) != 0)
		*problem = "could not be examined";
	else if (!S_ISREG(file.st_mode))
		*problem = "is not a regular file";
	else if (file.st_uid != geteuid())
		*problem = "belongs to another user";
	else if ((file.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		*problem = "is open to group or others; its mode should be 0600";
	else if (file.st_size != SECRET_BOX_KEY_LEN)
		*problem = "does not hold exactly 32 bytes";
	return *problem == NULL;
}

/*
 * read_all reads exactly len bytes.
 */
static bool
read_all(int fd, uint8_t *buffer, size_t len)
{
	while (len > 0)
	{
		ssize_t		got = read(fd, buffer, len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		buffer += got;
		len -= (size_t) got;
	}
	return true;
}

/*
 * write_all writes all of it.
 */
static bool
write_all(int fd, const uint8_t *buffer, size_t len)
{
	while (len > 0)
	{
		ssize_t		put = write(fd, buffer, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		buffer += put;
		len -= (size_t) put;
	}
	return true;
}

/*
 * sync_parent makes the file's name durable.
 */
static bool
sync_parent(const char *path)
{
	char		directory[MAX_PATH];
	const char *slash = strrchr(path, '/');
	int			fd;
	bool		synced;

	if (slash == NULL)
		snprintf(directory, sizeof(directory), ".");
	else if (slash == path)
		snprintf(directory, sizeof(directory), "/");
	else
		snprintf(directory, sizeof(directory), "%.*s", (int) (slash - path),
				 path);

	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	synced = fsync(fd) == 0;
	close(fd);
	return synced;
}
