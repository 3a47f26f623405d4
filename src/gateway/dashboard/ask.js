// Asks the gateway, with the key that was typed in. The key is kept in this tab, and goes nowhere else.

const KEPT = "tower-quota key";

export function useKey(key) {
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

export async function ask(path) {
  const key = sessionStorage.getItem(KEPT);
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  const answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(10_000) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said.detail ?? `the answer is ${answer.status}`);
  return said;
}

/// Asks again and again, so many milliseconds after each answer, while the page is seen and not held. `wake` asks at once.
export function poll(path, every, show, fail) {
  let timer;
  let turn = 0;
  const isIdle = () => document.hidden || document.body.classList.contains("held");
  async function again() {
    clearTimeout(timer);
    const mine = ++turn;
    if (isIdle()) return;
    try {
      const said = await ask(typeof path === "function" ? path() : path);
      if (mine === turn && !isIdle()) show(said);
    } catch (error) {
      if (mine === turn) fail(error);
    }
    if (mine === turn) timer = setTimeout(again, every);
  }
  document.addEventListener("visibilitychange", again);
  again();
  return { wake: again };
}
