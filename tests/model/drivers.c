/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drivers.c - examples/drivers at work: no byte is wrong; and with what each style is about left
 * out, wrong bytes are seen
 *
 *     drivers [--ops N] [--seed S] [--style NAME]
 *
 * N operations are N/2 transfers in each style.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/drivers/drive.h"

#define BROKEN_TRANSFERS 2000u

static void tell(const struct drive_style *style, const char *how,
                 const struct drive_result *result)
{
    printf("drivers: %-7s %-9s %7llu transfers, %10llu bytes, %6llu bounced, %7llu segments, "
           "%llu failed, %llu faults, %llu misuses, %llu wrong%s%s\n%s%s",
           style->name, how, (unsigned long long)result->transfers,
           (unsigned long long)result->nbytes, (unsigned long long)result->bounced,
           (unsigned long long)result->segments, (unsigned long long)result->failed,
           (unsigned long long)result->faults, (unsigned long long)result->misuses,
           (unsigned long long)result->wrong, result->violation != NULL ? ": " : "",
           result->violation != NULL ? result->violation : "", result->misuse,
           result->misuses != 0 ? "\n" : "");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct drive_options options = {.transfers = 5000, .seed = 1};
    const struct drive_style *style;
    const char *only = NULL;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
            options.transfers = strtoull(argv[++i], NULL, 0) / 2;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            options.seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--style") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            return fprintf(stderr, "usage: drivers [--ops N] [--seed S] [--style NAME]\n"), 2;
    }
    for (uint32_t i = 0; (style = drive_style(i)) != NULL; i++) {
        struct drive_options broken = {BROKEN_TRANSFERS, options.seed, true};
        struct drive_result result;

        if (only != NULL && strcmp(only, style->name) != 0)
            continue;
        if (drive_run(style, &options, &result) != 0)
            return 1;
        tell(style, "as it is", &result);
        failed |= !drive_is_good(&result);
        if (drive_run(style, &broken, &result) != 0)
            return 1;
        tell(style, "broken", &result);
        failed |= result.wrong == 0;
    }
    if (failed)
        printf("drivers: FAILED\n");
    return failed;
}
