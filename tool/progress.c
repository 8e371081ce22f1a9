/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.c - redraws one line of a terminal with carriage returns */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 40 };

static void progress_draw(const struct progress *progress)
{
    char bar[BAR_WIDTH + 1];
    unsigned filled = progress->per_mille * BAR_WIDTH / 1000;

    for (unsigned i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '-';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3u %%  %-24s", bar, progress->per_mille / 10, progress->what);
    fflush(stderr);
}

void progress_start(struct progress *progress, const char *what)
{
    progress->on = isatty(STDERR_FILENO) != 0;
    progress->what = what;
    progress->per_mille = 0;
    if (progress->on)
        progress_draw(progress);
}

void progress_at(struct progress *progress, uint64_t done, uint64_t all)
{
    unsigned per_mille;

    if (!progress->on || all == 0)
        return;
    per_mille = done >= all ? 1000 : (unsigned)(done / (all / 1000 + 1));
    if (per_mille == progress->per_mille)
        return;
    progress->per_mille = per_mille;
    progress_draw(progress);
}

void progress_end(struct progress *progress)
{
    if (progress->on)
        fprintf(stderr, "\r%*s\r", BAR_WIDTH + 40, "");
    progress->on = false;
}
