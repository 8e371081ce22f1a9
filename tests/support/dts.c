/* SPDX-License-Identifier: BSD-2-Clause */
/* dts.c - see dts.h */
#include "dts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *dts_compile(const char *source, size_t *nbytes)
{
    FILE *in = tmpfile();
    FILE *out = tmpfile();
    void *blob = NULL;
    int status = -1;
    pid_t child;

    if (!in || !out) {
        abort();
    }
    fputs(source, in);
    rewind(in);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        dup2(fileno(in), STDIN_FILENO);
        dup2(fileno(out), STDOUT_FILENO);
        execlp("dtc", "dtc", "-q", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", "-", "-",
               (char *)NULL);
        _exit(127);
    }
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0) {
        fseek(out, 0, SEEK_END);
        *nbytes = (size_t)ftell(out);
        rewind(out);
        blob = malloc(*nbytes);
        if (!blob || fread(blob, 1, *nbytes, out) != *nbytes) {
            abort();
        }
    }
    fclose(in);
    fclose(out);
    return blob;
}
