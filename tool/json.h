/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - writes JSON as it goes
 *
 * The writer keeps the commas and the indentation; the caller opens, fills and closes. Keys are
 * given inside objects and NULL inside arrays. Strings may hold any bytes: what is not UTF-8 comes
 * out as U+FFFD, so the output can always be read.
 */
#ifndef CMA_TOOL_JSON_H
#define CMA_TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    unsigned int depth;
    bool filled[16]; /* something stands at this depth already */
};

/* The value as a whole: open with '{' or '[', and close with its counterpart. */
void json_start(struct json *json, FILE *out);
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

void json_string(struct json *json, const char *key, const char *text);
void json_hex(struct json *json, const char *key, uint64_t value); /* as the string "0x..." */
void json_number(struct json *json, const char *key, uint64_t value);
void json_real(struct json *json, const char *key, double value); /* six digits at most */
void json_bool(struct json *json, const char *key, bool value);

/* Ends the document with a newline. Returns 0, or -1 when the output could not be written. */
int json_end(struct json *json);

#endif
