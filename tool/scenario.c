/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario.c - reads a scenario
 *
 * One statement a line: a word and its values. A line that begins with a kind of device begins a
 * device, and what follows belongs to it, up to the next. So no line means anything different for
 * how it is indented, and each error has one line. What can only be judged when all has been read
 * (is there a device of that name?) keeps the line of the word that said it.
 */
#include "scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 12, WORD_NBYTES = SCENARIO_TEXT_NBYTES, QUOTE_MAX = 40 };

struct scenario_line {
    uint32_t number;
    uint32_t nwords;
    char words[WORDS_MAX][WORD_NBYTES];
    bool quoted[WORDS_MAX];
};

struct scenario_reader {
    struct scenario *scenario;
    struct scenario_device *device; /* that lines belong to; NULL: none yet */
    struct scenario_error *error;
    struct scenario_line line;
};

/* --- errors ----------------------------------------------------------------------------------- */

static int reader_fail_at(struct scenario_reader *reader, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int reader_fail_at(struct scenario_reader *reader, uint32_t line, const char *format, ...)
{
    va_list values;

    reader->error->line = line;
    va_start(values, format);
    vsnprintf(reader->error->text, sizeof(reader->error->text), format, values);
    va_end(values);
    return -1;
}

#define reader_fail(reader, ...) reader_fail_at(reader, (reader)->line.number, __VA_ARGS__)

/* A word as it can be shown: short, and nothing in it that a terminal would act on. */
static const char *reader_quote(const char *word, char text[QUOTE_MAX + 8])
{
    size_t length = 0;

    text[length++] = '\'';
    for (size_t i = 0; word[i] != '\0' && i < QUOTE_MAX; i++)
        text[length++] =
            (unsigned char)word[i] < 0x20 || (unsigned char)word[i] >= 0x7f ? '?' : word[i];
    if (strlen(word) > QUOTE_MAX)
        for (int i = 0; i < 3; i++)
            text[length++] = '.';
    text[length++] = '\'';
    text[length] = '\0';
    return text;
}

/* "expected ..., not 'this'", about word `at` of the line. */
static int reader_expected(struct scenario_reader *reader, uint32_t at, const char *what)
{
    char text[QUOTE_MAX + 8];
    const struct scenario_line *line = &reader->line;

    if (at < line->nwords)
        return reader_fail(reader, "expected %s, not %s", what,
                           reader_quote(line->words[at], text));
    return reader_fail(reader, "expected %s after %s", what,
                       reader_quote(line->words[line->nwords - 1], text));
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool line_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Copies one word, plain or quoted, that begins at text[at]. Returns where it ends, or 0. */
static size_t line_word(struct scenario_reader *reader, const char *text, size_t at, size_t end)
{
    struct scenario_line *line = &reader->line;
    bool quoted = text[at] == '"';
    char *word = line->words[line->nwords];
    size_t length = 0;

    if (line->nwords == WORDS_MAX) {
        reader_fail(reader, "no statement has so many words");
        return 0;
    }
    for (at += quoted; at < end; at++) {
        if (quoted ? text[at] == '"' : line_is_blank(text[at]) || text[at] == '#')
            break;
        if (length == WORD_NBYTES - 1) {
            reader_fail(reader, "a word is longer than %d bytes", WORD_NBYTES - 1);
            return 0;
        }
        word[length++] = text[at];
    }
    word[length] = '\0';
    if (quoted && at == end) {
        reader_fail(reader, "expected a \" that ends the text");
        return 0;
    }
    line->quoted[line->nwords++] = quoted;
    return at + quoted;
}

/* Cuts text[at, end) into words. */
static int line_cut(struct scenario_reader *reader, const char *text, size_t at, size_t end)
{
    reader->line.nwords = 0;
    for (size_t i = at; i < end; i++)
        if (((unsigned char)text[i] < 0x20 && !line_is_blank(text[i])) || text[i] == 0x7f)
            return reader_fail(reader, "byte 0x%02x: this is no text", (unsigned char)text[i]);
    while (at < end) {
        if (line_is_blank(text[at])) {
            at++;
        } else if (text[at] == '#') {
            return 0;
        } else {
            at = line_word(reader, text, at, end);
            if (at == 0)
                return -1;
        }
    }
    return 0;
}

/* --- values ------------------------------------------------------------------------------------
 */

/* Digits up to the first other character. Returns how many, 0: none, or too large a number. */
static size_t value_digits(const char *word, uint64_t *value)
{
    size_t length = 0;

    *value = 0;
    for (; word[length] >= '0' && word[length] <= '9'; length++) {
        uint64_t digit = (uint64_t)(word[length] - '0');

        if (*value > (UINT64_MAX - digit) / 10)
            return 0;
        *value = *value * 10 + digit;
    }
    return length;
}

static int value_number(struct scenario_reader *reader, uint32_t at, uint64_t least, uint64_t most,
                        const char *suffix, uint64_t *value)
{
    const char *word = at < reader->line.nwords ? reader->line.words[at] : "";
    size_t length = value_digits(word, value);
    char what[80];

    if (length != 0 && (word[length] == '\0' || strcmp(word + length, suffix) == 0) &&
        *value >= least && *value <= most)
        return 0;
    if (most == UINT64_MAX)
        snprintf(what, sizeof(what), "a number below 2^64");
    else
        snprintf(what, sizeof(what), "a number from %llu to %llu%s%s", (unsigned long long)least,
                 (unsigned long long)most, suffix[0] != '\0' ? " with or without " : "", suffix);
    return reader_expected(reader, at, what);
}

static int value_time(struct scenario_reader *reader, uint32_t at, uint64_t *us)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000u}};
    const char *word = at < reader->line.nwords ? reader->line.words[at] : "";
    uint64_t value;
    size_t length = value_digits(word, &value);

    for (size_t i = 0; length != 0 && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(word + length, units[i].name) == 0 &&
            value <= SCENARIO_SECONDS_MAX * 1000000ull / units[i].us) {
            *us = value * units[i].us;
            return 0;
        }
    return reader_expected(reader, at, "a time such as 500ms, 4s or 10min, at most 100000s");
}

static int value_size(struct scenario_reader *reader, uint32_t at, uint64_t *nbytes)
{
    static const char suffixes[] = "KMGT";
    const char *word = at < reader->line.nwords ? reader->line.words[at] : "";
    uint64_t value;
    size_t length = value_digits(word, &value);
    const char *suffix =
        length != 0 && word[length] != '\0' ? strchr(suffixes, word[length]) : NULL;
    uint32_t shift = suffix != NULL ? 10 * (uint32_t)(suffix - suffixes + 1) : 0;

    if (suffix != NULL && word[length + 1] == '\0' && value != 0 && value <= UINT64_MAX >> shift) {
        *nbytes = value << shift;
        return 0;
    }
    return reader_expected(reader, at, "a size such as 64M or 1G");
}

/* A name: letters, digits, - and _. */
static int value_name(struct scenario_reader *reader, uint32_t at, char name[SCENARIO_NAME_NBYTES])
{
    const char *word = at < reader->line.nwords ? reader->line.words[at] : "";
    size_t length =
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    if (length == 0 || word[length] != '\0' || length >= SCENARIO_NAME_NBYTES)
        return reader_expected(reader, at,
                               "a name of at most 31 letters, digits, hyphens and underscores");
    memcpy(name, word, length + 1);
    return 0;
}

static int value_text(struct scenario_reader *reader, uint32_t at, const char *what, char *text,
                      size_t nbytes)
{
    size_t length = at < reader->line.nwords ? strlen(reader->line.words[at]) : 0;

    if (at >= reader->line.nwords || (length == 0 && !reader->line.quoted[at]))
        return reader_expected(reader, at, what);
    if (length >= nbytes)
        return reader_fail(reader, "expected %s of at most %zu bytes", what, nbytes - 1);
    memcpy(text, reader->line.words[at], length + 1);
    return 0;
}

/* --- statements -------------------------------------------------------------------------------
 */

static int say_scenario(struct scenario_reader *reader)
{
    return value_text(reader, 1, "a title in \"quotes\"", reader->scenario->title,
                      SCENARIO_TITLE_NBYTES);
}

static int say_board(struct scenario_reader *reader)
{
    reader->scenario->board_line = reader->line.number;
    if (reader->line.nwords > 1 && reader->line.words[1][0] == '\0')
        return reader_expected(reader, 1, "the file of a board");
    return value_text(reader, 1, "the file of a board", reader->scenario->board,
                      SCENARIO_TEXT_NBYTES);
}

static int say_memory(struct scenario_reader *reader)
{
    return value_size(reader, 1, &reader->scenario->memory_nbytes);
}

static int say_cmdline(struct scenario_reader *reader)
{
    reader->scenario->has_cmdline = true;
    return value_text(reader, 1, "a command line in \"quotes\"", reader->scenario->cmdline,
                      SCENARIO_TEXT_NBYTES);
}

static int say_granule(struct scenario_reader *reader)
{
    if (reader->line.nwords > 1 && strcmp(reader->line.words[1], "page") == 0) {
        reader->scenario->granule_page = true;
        return 0;
    }
    return reader_expected(reader, 1, "page");
}

static int say_time(struct scenario_reader *reader)
{
    uint64_t us;

    if (value_time(reader, 1, &us) != 0)
        return -1;
    if (us == 0 || us % 1000000 != 0)
        return reader_expected(reader, 1, "whole seconds, at least 1s");
    reader->scenario->seconds = us / 1000000;
    return 0;
}

static int say_fill(struct scenario_reader *reader)
{
    reader->scenario->has_fill = true;
    return value_number(reader, 1, 0, 100, "%", &reader->scenario->fill);
}

static int say_droppable(struct scenario_reader *reader)
{
    reader->scenario->has_droppable = true;
    return value_number(reader, 1, 0, 100, "%", &reader->scenario->droppable);
}

static int say_pins(struct scenario_reader *reader)
{
    reader->scenario->has_pins = true;
    return value_number(reader, 1, 0, SCENARIO_PINS_MAX, "", &reader->scenario->pins);
}

static int say_seed(struct scenario_reader *reader)
{
    reader->scenario->has_seed = true;
    return value_number(reader, 1, 0, UINT64_MAX, "", &reader->scenario->seed);
}

static int say_node(struct scenario_reader *reader)
{
    reader->device->node_line = reader->line.number;
    if (reader->line.nwords > 1 && reader->line.words[1][0] != '/')
        return reader_expected(reader, 1, "the path of a node, which begins with /");
    return value_text(reader, 1, "the path of a node", reader->device->node, SCENARIO_TEXT_NBYTES);
}

static int say_format(struct scenario_reader *reader)
{
    const char *word = reader->line.nwords > 2 ? reader->line.words[2] : "", *why;
    uint64_t width, height;
    size_t length = value_digits(word, &width);
    char names[120], quote[QUOTE_MAX + 8];

    if (reader->line.nwords < 2)
        return reader_expected(reader, 1, "a pixel format and a size, such as NV12 640x480");
    if (length == 0 || word[length] != 'x' || value_digits(word + length + 1, &height) == 0 ||
        word[length + 1 + value_digits(word + length + 1, &height)] != '\0' || width == 0 ||
        height == 0 || width > SCENARIO_DOTS_MAX || height > SCENARIO_DOTS_MAX)
        return reader_expected(reader, 2, "width x height, such as 640x480, at most 16384 each");
    if (scenario_format(&reader->device->format, reader->line.words[1], (uint32_t)width,
                        (uint32_t)height, &why) == 0)
        return 0;
    scenario_format_names(names, sizeof(names));
    return reader_fail(reader, "format %s: %s; there are %s",
                       reader_quote(reader->line.words[1], quote), why, names);
}

static int say_buffers(struct scenario_reader *reader)
{
    uint64_t value;

    if (value_number(reader, 1, 1, SCENARIO_BUFFERS_MAX, "", &value) != 0)
        return -1;
    reader->device->nbuffers = (uint32_t)value;
    return 0;
}

static int say_rate(struct scenario_reader *reader)
{
    uint64_t value;

    if (value_number(reader, 1, 1, SCENARIO_RATE_MAX, "", &value) != 0)
        return -1;
    reader->device->rate = (uint32_t)value;
    return 0;
}

static int say_promise(struct scenario_reader *reader)
{
    uint64_t value = 0;

    if (reader->line.nwords > 1 && value_number(reader, 1, 0, SCENARIO_MOVES_MAX, "", &value) != 0)
        return -1;
    reader->device->promise = true;
    reader->device->max_moves = (uint32_t)value;
    return 0;
}

static int say_group(struct scenario_reader *reader)
{
    reader->device->group_line = reader->line.number;
    return value_name(reader, 1, reader->device->group);
}

static int say_from(struct scenario_reader *reader)
{
    reader->device->source_line = reader->line.number;
    if (reader->device->kind != SCENARIO_SCALER && reader->device->kind != SCENARIO_DISPLAY)
        return reader_fail(reader,
                           "from: only a scaler or display reads the frames of another device");
    return value_name(reader, 1, reader->device->source_name);
}

/* open at TIME [for TIME [every TIME]] */
static int say_open(struct scenario_reader *reader)
{
    struct scenario_device *device = reader->device;
    struct scenario_line *line = &reader->line;
    struct scenario_open open = {.length_us = UINT64_MAX}, *last;

    if (device->nopens == SCENARIO_OPENS_MAX)
        return reader_fail(reader, "a device has at most %d lines with open", SCENARIO_OPENS_MAX);
    if (line->nwords < 2 || strcmp(line->words[1], "at") != 0)
        return reader_expected(reader, 1, "at and a time: open at 500ms for 4s every 10s");
    if (value_time(reader, 2, &open.begin_us) != 0)
        return -1;
    if (line->nwords > 3 && strcmp(line->words[3], "for") != 0)
        return reader_expected(reader, 3, "for and a time, or nothing");
    if (line->nwords > 3 && value_time(reader, 4, &open.length_us) != 0)
        return -1;
    if (line->nwords > 5 && strcmp(line->words[5], "every") != 0)
        return reader_expected(reader, 5, "every and a time, or nothing");
    if (line->nwords > 5 && value_time(reader, 6, &open.period_us) != 0)
        return -1;
    if (open.length_us == 0)
        return reader_expected(reader, 4, "a time longer than none");
    if (line->nwords > 5 && open.period_us <= open.length_us)
        return reader_expected(reader, 6, "a time longer than it stays open");
    last = device->nopens != 0 ? &device->opens[device->nopens - 1] : NULL;
    if (last != NULL && (last->length_us == UINT64_MAX || last->period_us != 0 ||
                         open.begin_us <= last->begin_us + last->length_us))
        return reader_fail(reader, "the device is still open then: the times of its lines follow "
                                   "each other, and only the last one may go on or repeat");
    device->opens[device->nopens++] = open;
    return 0;
}

struct scenario_word {
    const char *name;
    int (*say)(struct scenario_reader *reader);
    uint32_t values; /* at most */
    bool again;      /* may be said more than once */
};

static const struct scenario_word whole_words[] = {
    {"scenario", say_scenario, 1, false}, {"board", say_board, 1, false},
    {"memory", say_memory, 1, false},     {"cmdline", say_cmdline, 1, false},
    {"granule", say_granule, 1, false},   {"time", say_time, 1, false},
    {"fill", say_fill, 1, false},         {"droppable", say_droppable, 1, false},
    {"pins", say_pins, 1, false},         {"seed", say_seed, 1, false},
};

static const struct scenario_word device_words[] = {
    {"node", say_node, 1, false},       {"format", say_format, 2, false},
    {"buffers", say_buffers, 1, false}, {"rate", say_rate, 1, false},
    {"promise", say_promise, 1, false}, {"group", say_group, 1, false},
    {"from", say_from, 1, false},       {"open", say_open, 6, true},
};

enum {
    NWHOLE = sizeof(whole_words) / sizeof(whole_words[0]),
    NDEVICE = sizeof(device_words) / sizeof(device_words[0])
};

static const char *const kinds[SCENARIO_KINDS] = {
    [SCENARIO_CAMERA] = "camera",
    [SCENARIO_DECODER] = "decoder",
    [SCENARIO_DISPLAY] = "display",
    [SCENARIO_SCALER] = "scaler",
};

const char *scenario_kind_name(enum scenario_kind kind)
{
    return kinds[kind];
}

static int reader_new_device(struct scenario_reader *reader, enum scenario_kind kind)
{
    struct scenario *scenario = reader->scenario;
    struct scenario_device *device = &scenario->devices[scenario->ndevices];

    if (scenario->ndevices == SCENARIO_DEVICES_MAX)
        return reader_fail(reader, "a scenario has at most %d devices", SCENARIO_DEVICES_MAX);
    if (value_name(reader, 1, device->name) != 0)
        return -1;
    if (reader->line.nwords > 2)
        return reader_expected(reader, 2, "nothing more on this line");
    for (uint32_t i = 0; i < scenario->ndevices; i++)
        if (strcmp(scenario->devices[i].name, device->name) == 0)
            return reader_fail(reader, "there is a device '%s' already, in line %u", device->name,
                               scenario->devices[i].line);
    device->kind = kind;
    device->nbuffers = 6;
    device->rate = 30;
    device->line = reader->line.number;
    scenario->ndevices++;
    reader->device = device;
    return 0;
}

/* All words, for who wrote one that there is not. */
static int reader_unknown(struct scenario_reader *reader)
{
    char text[SCENARIO_ERROR_NBYTES], quote[QUOTE_MAX + 8];
    size_t length = 0;

    for (size_t i = 0; reader->device == NULL && i < NWHOLE; i++)
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s, ", whole_words[i].name);
    for (size_t i = 0; reader->device != NULL && i < NDEVICE; i++)
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s, ", device_words[i].name);
    snprintf(text + length, sizeof(text) - length, "or a device: camera, decoder, display, scaler");
    return reader_fail(reader, "%s is no word here; expected %s",
                       reader_quote(reader->line.words[0], quote), text);
}

static int reader_say(struct scenario_reader *reader, const struct scenario_word *word,
                      uint32_t bit, uint32_t *said)
{
    if (!word->again && (*said & 1u << bit) != 0)
        return reader_fail(reader, "%s was said already", word->name);
    *said |= 1u << bit;
    if (word->say(reader) != 0)
        return -1;
    if (reader->line.nwords > 1 + word->values)
        return reader_expected(reader, 1 + word->values, "nothing more on this line");
    return 0;
}

static int reader_statement(struct scenario_reader *reader)
{
    const char *first = reader->line.words[0];

    for (uint32_t i = 0; i < SCENARIO_KINDS; i++)
        if (strcmp(first, kinds[i]) == 0)
            return reader_new_device(reader, (enum scenario_kind)i);
    for (uint32_t i = 0; i < NDEVICE; i++)
        if (strcmp(first, device_words[i].name) == 0)
            return reader->device != NULL
                       ? reader_say(reader, &device_words[i], i, &reader->device->said)
                       : reader_fail(reader,
                                     "%s belongs to a device; expected one before, such as "
                                     "camera NAME",
                                     first);
    for (uint32_t i = 0; i < NWHOLE; i++)
        if (strcmp(first, whole_words[i].name) == 0)
            return reader->device == NULL
                       ? reader_say(reader, &whole_words[i], i, &reader->scenario->said)
                       : reader_fail(reader,
                                     "%s is about the whole: expected before the first "
                                     "device, which is in line %u",
                                     first, reader->scenario->devices[0].line);
    return reader_unknown(reader);
}

/* --- the whole --------------------------------------------------------------------------------
 */

/* Whose frames it reads, and when: it is open when that one is. */
static int reader_judge_source(struct scenario_reader *reader, struct scenario_device *device)
{
    struct scenario *scenario = reader->scenario;

    device->opened = device->nopens != 0;
    if (device->kind != SCENARIO_SCALER && device->source_line == 0)
        return 0;
    /* Only one above it, so that nobody reads his own frames, by whatever way. */
    for (uint32_t i = 0; &scenario->devices[i] != device; i++)
        if (strcmp(scenario->devices[i].name, device->source_name) == 0 &&
            scenario->devices[i].kind != SCENARIO_DISPLAY) {
            device->reads = true;
            device->source = i;
            if (!device->opened) {
                memcpy(device->opens, scenario->devices[i].opens, sizeof(device->opens));
                device->nopens = scenario->devices[i].nopens;
            }
            return 0;
        }
    return reader_fail_at(reader, device->source_line != 0 ? device->source_line : device->line,
                          "%s '%s': expected a line from and the name of a camera, decoder or "
                          "scaler above it",
                          kinds[device->kind], device->name);
}

static int reader_judge_device(struct scenario_reader *reader, struct scenario_device *device)
{
    struct scenario *scenario = reader->scenario;

    if (device->format.name == NULL)
        return reader_fail_at(reader, device->line, "%s '%s': expected a line with its format",
                              kinds[device->kind], device->name);
    if (reader_judge_source(reader, device) != 0)
        return -1;
    if (device->nopens == 0)
        return reader_fail_at(reader, device->line, "%s '%s': expected a line that opens it",
                              kinds[device->kind], device->name);
    if (device->group[0] != '\0' && !device->promise)
        return reader_fail_at(reader, device->group_line,
                              "group: memory is shared by what is promised; expected a line "
                              "promise");
    if (device->group[0] != '\0' && device->format.nplanes > 1)
        return reader_fail_at(reader, device->group_line,
                              "group: expected a format of one plane, not %s", device->format.name);
    for (uint32_t i = 0; device->node[0] != '\0' && &scenario->devices[i] != device; i++)
        if (strcmp(scenario->devices[i].node, device->node) == 0)
            return reader_fail_at(reader, device->node_line, "node: '%s' is that one already",
                                  scenario->devices[i].name);
    return 0;
}

static int reader_judge(struct scenario_reader *reader)
{
    struct scenario *scenario = reader->scenario;

    if (scenario->board[0] == '\0')
        return reader_fail_at(reader, 0, "expected a line board and the file of a board");
    if (scenario->ndevices == 0)
        return reader_fail_at(reader, 0, "expected a device, such as camera NAME");
    for (uint32_t i = 0; i < scenario->ndevices; i++)
        if (reader_judge_device(reader, &scenario->devices[i]) != 0)
            return -1;
    return 0;
}

int scenario_parse(struct scenario *scenario, const char *text, size_t nbytes,
                   struct scenario_error *error)
{
    struct scenario_reader reader = {.scenario = scenario, .error = error};

    memset(scenario, 0, sizeof(*scenario));
    memset(error, 0, sizeof(*error));
    if (nbytes > SCENARIO_FILE_NBYTES)
        return reader_fail_at(&reader, 0, "longer than %d bytes: this is no scenario",
                              SCENARIO_FILE_NBYTES);
    for (size_t at = 0; at < nbytes;) {
        const char *newline = memchr(text + at, '\n', nbytes - at);
        size_t end = newline != NULL ? (size_t)(newline - text) : nbytes;

        reader.line.number++;
        if (line_cut(&reader, text, at, end) != 0)
            return -1;
        if (reader.line.nwords != 0 && reader_statement(&reader) != 0)
            return -1;
        at = end + 1;
    }
    return reader_judge(&reader);
}

/* --- times ------------------------------------------------------------------------------------
 */

bool scenario_is_open(const struct scenario_device *device, uint64_t at_us, uint64_t *from_us,
                      uint64_t *until_us)
{
    for (uint32_t i = 0; i < device->nopens; i++) {
        const struct scenario_open *open = &device->opens[i];
        uint64_t turn = open->period_us != 0 && at_us > open->begin_us
                            ? (at_us - open->begin_us) / open->period_us
                            : 0;
        uint64_t begin = open->begin_us + turn * open->period_us;

        if (at_us >= begin && at_us - begin >= open->length_us) {
            if (open->period_us == 0)
                continue; /* over for good */
            begin += open->period_us;
        }
        *from_us = begin;
        *until_us = open->length_us != UINT64_MAX ? begin + open->length_us : UINT64_MAX;
        return at_us >= begin;
    }
    *from_us = *until_us = UINT64_MAX;
    return false;
}
