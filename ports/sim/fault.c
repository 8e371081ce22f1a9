/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.c - calls that fail when a test wants them to
 */
#include "private.h"

void sim_fail(struct sim *sim, enum sim_fault fault, uint64_t nth, bool sticky)
{
    sim_enter(sim);
    sim->faults[fault].at = nth ? sim->faults[fault].calls + nth : 0;
    sim->faults[fault].sticky = sticky;
    sim_leave(sim);
}

bool sim_fault_now(struct sim *sim, enum sim_fault fault)
{
    struct sim_fault_state *state = &sim->faults[fault];

    sim_enter(sim);
    uint64_t call = ++state->calls;
    bool fails = state->at && (call == state->at || (state->sticky && call > state->at));
    sim_leave(sim);
    return fails;
}

uint64_t sim_fault_calls(struct sim *sim, enum sim_fault fault)
{
    sim_enter(sim);
    uint64_t calls = sim->faults[fault].calls;
    sim_leave(sim);
    return calls;
}
