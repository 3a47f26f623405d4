// Asks the gateway, with the key that was typed in. The key is kept in this tab, and goes nowhere else.

const KEPT = "tower-quota key";
/// Counts the keys that were used: an answer to one of before is nobody's any more.
let generation = 0;

export function useKey(key) {
  generation += 1;
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
}

export function hasKey() {
  return sessionStorage.getItem(KEPT) !== null;
}

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/// An answer that nobody waits for any more.
export class Outdated extends Error {}

export async function ask(path, signal) {
  const mine = generation;
  const key = sessionStorage.getItem(KEPT);
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  const ends = [AbortSignal.timeout(10_000), signal].filter(Boolean);
  let answer;
  let said;
  try {
    answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.any(ends) });
    said = await answer.json().catch(() => ({}));
  } finally {
    if (mine !== generation || signal?.aborted) throw new Outdated();
  }
  if (!answer.ok) throw new Refused(answer.status, said.detail ?? `the answer is ${answer.status}`);
  return said;
}

/// Does something again and again, so many milliseconds after it is done, while the page is seen and not held. `wake` does it
/// at once, in place of what is under way.
export function poll(every, doing, fail) {
  let timer;
  let under_way = new AbortController();
  const isIdle = () => document.hidden || document.body.classList.contains("held");
  async function again() {
    clearTimeout(timer);
    under_way.abort();
    if (isIdle()) return;
    const mine = new AbortController();
    under_way = mine;
    try {
      await doing((path) => ask(path, mine.signal), () => !mine.signal.aborted && !isIdle());
    } catch (error) {
      if (!(error instanceof Outdated) && !mine.signal.aborted && !isIdle()) fail(error);
    }
    if (!mine.signal.aborted) timer = setTimeout(again, every);
  }
  document.addEventListener("visibilitychange", again);
  again();
  return { wake: again };
}
