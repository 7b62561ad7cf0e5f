#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"

static char dir[64];
static struct keys_error error;

static void set_up(void)
{
    strcpy(dir, "/tmp/nq-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void path_of(const char *name, char out[160])
{
    snprintf(out, 160, "%s/%s", dir, name);
}

static void tear_down(void)
{
    static const char *const names[] = {"client", "client_secret", "other", "other_secret", "pub"};
    char path[160];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        unlink(path);
    }
    cr_expect_eq(rmdir(dir), 0, "nothing else was left behind");
}

TestSuite(keys, .init = set_up, .fini = tear_down);

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[160];
    path_of(name, path);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

Test(keys, a_pair_that_was_made_can_be_loaded_and_is_its_owners_alone)
{
    struct keys_pair made;
    struct keys_pair loaded;
    struct keys_certificate certificate;
    struct stat status;
    char path[160];
    cr_assert_eq(keys_make_pair(dir, "client", NULL, 0, &made, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(keys_load_pair(dir, "client", &loaded, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(memcmp(&made, &loaded, sizeof(made)), 0);
    path_of("client_secret", path);
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600);
    cr_assert_eq(keys_load_certificate(dir, "client", &certificate, &error), NQ_OK, "%s", error.text);
    cr_assert_str_eq(certificate.public_key, made.public_key);
    keys_certificate_fini(&certificate);
    keys_forget(&made);
    cr_assert_eq(made.secret_key[0], 0);
}

Test(keys, nothing_is_written_over)
{
    struct keys_pair first;
    struct keys_pair second;
    cr_assert_eq(keys_make_pair(dir, "client", NULL, 0, &first, &error), NQ_OK);
    cr_assert_eq(keys_make_pair(dir, "client", NULL, 0, &second, &error), NQ_BAD_CONFIG);
    cr_assert_not_null(strstr(error.text, "is there already"));
    cr_assert_eq(keys_load_pair(dir, "client", &second, &error), NQ_OK);
    cr_assert_str_eq(first.secret_key, second.secret_key);
}

Test(keys, fields_come_back_as_they_were_written)
{
    struct keys_pair pair;
    struct keys_certificate certificate;
    struct keys_field fields[] = {{(char[]){"put"}, (char[]){"a.*, b?"}}, {(char[]){"admin"}, (char[]){""}}};
    cr_assert_eq(keys_make_pair(dir, "other", NULL, 0, &pair, &error), NQ_OK);
    cr_assert_eq(keys_write_public(dir, "pub", pair.public_key, fields, 2, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(keys_load_certificate(dir, "pub", &certificate, &error), NQ_OK, "%s", error.text);
    size_t found = 0;
    for (size_t i = 0; i < certificate.field_count; i++) {
        found += strcmp(certificate.fields[i].name, "put") == 0 && strcmp(certificate.fields[i].value, "a.*, b?") == 0;
    }
    cr_assert_eq(found, 1);
    keys_certificate_fini(&certificate);
    fields[0].value = (char[]){"a\" admin = \"*"};
    cr_assert_eq(keys_write_public(dir, "pub2", pair.public_key, fields, 1, &error), NQ_BAD_CONFIG);
}

Test(keys, a_file_that_is_no_certificate_is_refused_without_a_word_on_stdout)
{
    static const char *const bad[] = {
        "",
        "curve\n",
        "curve\n    public-key = \"short\"\n",
        "curve\n    public-key = \"0000000000000000000000000000000000000000\"\n",
        "curve\n    public-key = \"~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\"\n",
        "curve\n  public-key = \"D6=sx?FJ*6bua6L>6T@N.w#G2B5>rvp}.(B=Y(=[\"\n",
        "curve\n    public-key = \"D6=sx?FJ*6bua6L>6T@N.w#G2B5>rvp}.(B=Y(=[\n",
        "curve\n    public-key = D6=sx?FJ*6bua6L>6T@N.w#G2B5>rvp}.(B=Y(=[\n",
        "\177ELF\x01\x02\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct keys_certificate certificate;
        write_file("pub", bad[i], 0644);
        cr_assert_eq(keys_load_certificate(dir, "pub", &certificate, &error), NQ_BAD_CONFIG, "%zu", i);
        keys_certificate_fini(&certificate);
    }
    struct keys_certificate certificate;
    cr_assert_eq(keys_load_certificate(dir, ".", &certificate, &error), NQ_BAD_CONFIG, "a folder");
    cr_assert_eq(keys_load_certificate(dir, "nowhere", &certificate, &error), NQ_BAD_CONFIG);
}

Test(keys, what_others_may_read_or_change_is_refused)
{
    struct keys_pair pair;
    struct keys_certificate certificate;
    char secret[160];
    char public[160];
    cr_assert_eq(keys_make_pair(dir, "client", NULL, 0, &pair, &error), NQ_OK);
    path_of("client_secret", secret);
    path_of("client", public);
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0677};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        chmod(secret, modes[i]);
        cr_assert_eq(keys_load_pair(dir, "client", &pair, &error), NQ_BAD_CONFIG, "%o", (unsigned)modes[i]);
        cr_assert_eq(pair.secret_key[0], 0, "nothing of it is kept");
    }
    chmod(public, 0646);
    cr_assert_eq(keys_load_certificate(dir, "client", &certificate, &error), NQ_BAD_CONFIG);
}

Test(keys, names_of_files_are_plain)
{
    static const char *const good[] = {"a", "A-1", "alice.smith", "secret", "a_secrets"};
    static const char *const bad[] = {"", ".", "..", ".hidden", "-x", "a/b", "a b", "a_secret", "_secret", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert(keys_name_is_valid(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_not(keys_name_is_valid(bad[i]), "%s", bad[i]);
    }
}

Test(keys, a_session_is_bound_to_its_key)
{
    static const char *const keys[] = {"D6=sx?FJ*6bua6L>6T@N.w#G2B5>rvp}.(B=Y(=[", "D6=sx?FJ*6bua6L>6T@N.w#G2B5>rvp}.(B=Y(=]"};
    const uint8_t ids[2][KEYS_SESSION_ID_BYTES] = {{1, 2, 3}, {1, 2, 4}};
    uint8_t out[4][KEYS_SESSION_ID_BYTES];
    uint8_t again[KEYS_SESSION_ID_BYTES];
    for (size_t i = 0; i < 4; i++) {
        cr_assert(keys_bind_session(keys[i / 2], ids[i % 2], out[i]));
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(memcmp(out[i], out[j], sizeof(out[i])), 0);
        }
    }
    cr_assert(keys_bind_session(keys[1], ids[0], again));
    cr_assert_eq(memcmp(again, out[2], sizeof(again)), 0);
}
