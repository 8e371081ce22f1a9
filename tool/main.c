/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the `cma` command: finds the verb and calls it */
#include "verbs.h"

#include <cma/types.h>

#include <stdio.h>
#include <string.h>

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"layout", verb_layout, "print a board's memory as its kernel would lay it out"},
    {"run", verb_run, "run the board in a simulator, with live data and streaming devices"},
    {"drive", verb_drive, "have drivers carry data to simulated devices, and compare every byte"},
};

static void main_help(FILE *out)
{
    fputs("usage: cma VERB BOARD [options]\n"
          "       cma drive [STYLE...] [options]\n"
          "\n"
          "Devices such as cameras and displays need memory in one piece, at addresses they can\n"
          "reach. cma shows, from a board's device tree, what memory is kept for them, and how it\n"
          "serves them while everybody else uses it.\n"
          "BOARD is a device tree: a .dtb file, or a .dts source that is compiled with dtc.\n"
          "\n"
          "verbs:\n",
          out);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
    }
    fputs("\n"
          "cma VERB --help tells more; cma --version prints the version.\n"
          "\n"
          "exit codes: 0 done (problems and refusals are results, not errors);\n"
          "            1 a byte of live data was lost, or carried wrongly;\n"
          "            2 bad usage, or a tree that can't be read\n",
          out);
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;

    if (!word) {
        main_help(stderr);
        return 2;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        main_help(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0) {
        printf("cma %s\n", CMA_VERSION_STRING);
        return 0;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(word, verbs[i].name) == 0) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "cma: '%s' is not a verb; see cma --help\n", word);
    return 2;
}
