/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - see json.h */
#include "json.h"

#include <inttypes.h>
#include <math.h>

void json_start(struct json *json, FILE *out)
{
    *json = (struct json){.out = out};
}

/* Length of the UTF-8 sequence at `text`, 0 when it is none (overlong, surrogate, cut off). */
static int json_utf8(const unsigned char *text)
{
    static const struct {
        unsigned char first, last, low, high;
        int length;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                 {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last) {
            continue;
        }
        if (text[1] < forms[i].low || text[1] > forms[i].high) {
            return 0;
        }
        for (int k = 2; k < forms[i].length; k++) {
            if ((text[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

static void json_quote(FILE *out, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    putc('"', out);
    while (*c) {
        int length = 1;

        if (*c == '"' || *c == '\\') {
            fprintf(out, "\\%c", *c);
        } else if (*c == '\n') {
            fputs("\\n", out);
        } else if (*c == '\t') {
            fputs("\\t", out);
        } else if (*c < 0x20 || *c == 0x7f) {
            fprintf(out, "\\u%04x", *c);
        } else if (*c < 0x80) {
            putc(*c, out);
        } else if ((length = json_utf8(c)) > 0) {
            fwrite(c, 1, (size_t)length, out);
        } else {
            fputs("\\ufffd", out);
            length = 1;
        }
        c += length;
    }
    putc('"', out);
}

/* Everything that goes in front of a value. */
static void json_lead(struct json *json, const char *key)
{
    if (json->filled[json->depth]) {
        putc(',', json->out);
    }
    json->filled[json->depth] = true;
    if (json->depth > 0) {
        fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
    }
    if (key) {
        json_quote(json->out, key);
        fputs(": ", json->out);
    }
}

void json_open(struct json *json, const char *key, char bracket)
{
    json_lead(json, key);
    putc(bracket, json->out);
    json->depth++;
    json->filled[json->depth] = false;
}

void json_close(struct json *json, char bracket)
{
    bool filled = json->filled[json->depth];

    json->depth--;
    if (filled) {
        fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
    }
    putc(bracket, json->out);
}

void json_string(struct json *json, const char *key, const char *text)
{
    json_lead(json, key);
    json_quote(json->out, text);
}

void json_hex(struct json *json, const char *key, uint64_t value)
{
    json_lead(json, key);
    fprintf(json->out, "\"0x%" PRIx64 "\"", value);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    json_lead(json, key);
    fprintf(json->out, "%" PRIu64, value);
}

void json_real(struct json *json, const char *key, double value)
{
    json_lead(json, key);
    if (isfinite(value)) {
        fprintf(json->out, "%.6g", value);
    } else {
        fputs("null", json->out);
    }
}

void json_bool(struct json *json, const char *key, bool value)
{
    json_lead(json, key);
    fputs(value ? "true" : "false", json->out);
}

int json_end(struct json *json)
{
    putc('\n', json->out);
    return fflush(json->out) != 0 || ferror(json->out) ? -1 : 0;
}
