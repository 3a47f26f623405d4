"use strict";
// What the scripts have in common: what is asked for, and how it is told what came of it.

const MODEL = "sim-1";
const SAY = "Say something.";
const ASK = [{ role: "user", content: SAY }];

// A tool's schema, and what the simulator gives it.
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string", enum: ["Qaanaaq"] }, days: { type: "integer", minimum: 2 } },
  required: ["city", "days"],
};

// What goes wrong upstream, by the model that is asked for.
const FAULTS = { "fails-429": "status=429;retry-after=0", "fails-503": "status=503", "fails-drop": "drop" };

// Whose calls are refused: in a run that is used up, and without money. What is asked for a model that is too small never fits.
const USED_UP = { "x-quota-agent": "once", "x-quota-run": "1" };
const BUDGET = { "x-quota-agent": "poor", "x-quota-run": "1" };
const SMALL = "sim-small";

// A model that is reserved for less than it says, and whose money does not do for the rest.
const LONG = "sim-long";
const thin = (run) => ({ "x-quota-agent": "thin", "x-quota-run": run });

// What the package throws, and what `said` makes of it.
async function refused(call, base, said) {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof base)) throw error;
    return { class: error.constructor.name, ...said(error) };
  }
  throw new Error("a call that should have been refused was answered");
}

// All that we refuse. `call` takes a model and headers.
async function refusals(call, base, said) {
  const thrown = (model, headers) => refused(() => call(model, headers), base, said);
  await call(MODEL, USED_UP);
  await call(MODEL, BUDGET);
  return {
    never_fits: await thrown(SMALL, {}),
    used_up: await thrown(MODEL, USED_UP),
    budget: await thrown(MODEL, BUDGET),
  };
}

// What the package throws where what else there is to call is asked for in a run that is used up, by name.
async function usedUp(calls, base, said) {
  const all = {};
  for (const [name, call] of Object.entries(calls)) all[name] = await refused(call, base, said);
  return all;
}

// What is thrown in the midst of a stream, and how much had come.
async function cut(stream, base, said) {
  let came = 0;
  const all = async () => { for await (const _ of await stream) came += 1; };
  return { ...(await refused(all, base, said)), came };
}

// What the package throws where the upstream fails.
async function failures(call, base, said) {
  const all = {};
  for (const [model, fault] of Object.entries(FAULTS)) {
    all[model] = await refused(() => call(model, { "x-sim-fault": fault }), base, said);
  }
  return all;
}

module.exports = { MODEL, LONG, SAY, ASK, SCHEMA, USED_UP, thin, refusals, usedUp, cut, failures };
