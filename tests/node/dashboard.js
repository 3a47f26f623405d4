// Drives the dashboard in a real browser, and prints what was seen.
//
// BASE_URL is the gateway's; CALLER, VIEWER, TEAM and USER_KEY are keys: one that calls, one that sees everything, one of the
// team `blue`, and one of the user `ann`.
const { chromium } = require("playwright-core");

const { BASE_URL, CALLER, VIEWER, TEAM, USER_KEY, SHOTS } = process.env;
const PAGE = `${BASE_URL}/quota/`;

async function call(agent, model = "sim-1") {
  const answer = await fetch(`${BASE_URL}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${CALLER}`, "content-type": "application/json", "x-quota-agent": agent, "x-quota-deadline": "1s" },
    body: JSON.stringify({ model, max_tokens: 10, messages: [{ role: "user", content: "hello" }] }),
  });
  await answer.text();
  return { status: answer.status, call: answer.headers.get("x-quota-call") };
}

/// A page of its own, with what it complains of and where it goes.
async function open(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const seen = { errors: [], hosts: new Set() };
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (message) => {
    // Before the key is typed in everything is 401: that is no mistake of the page.
    if (message.type() === "error" && !/ 40[13] /.test(message.text())) seen.errors.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== "data:") seen.hosts.add(host);
  });
  await page.goto(PAGE);
  return { page, seen };
}

async function show(page, key) {
  await page.locator("#ask-key[open]").waitFor();
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.locator("#state.good").waitFor();
}

const bar = (page, name) => page.locator("#limit-bars li", { hasText: name });

/// What is said at a glance under this name, once it begins so.
async function glance(page, name, begin) {
  const tile = page.locator("#glance > div", { has: page.locator("dt", { hasText: name }) }).locator("dd", { hasText: begin });
  return tile.first().textContent();
}

async function everything(browser) {
  const { page, seen } = await open(browser, { viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  await show(page, VIEWER);
  const found = {};
  // Live, without a reload: a call changes the bar.
  await bar(page, "requests 1000/hour").first().waitFor();
  found.before = await bar(page, "agent=first").count();
  found.unspent = await glance(page, "tightest budget", /^0 %/);
  const first = await call("first");
  await bar(page, "agent=first").locator(".figures", { hasText: "1 of 3" }).first().waitFor();
  await call("first");
  await bar(page, "agent=first").locator(".figures", { hasText: "2 of 3" }).first().waitFor();
  await call("first");
  await bar(page, "agent=first").locator("b", { hasText: "100 %" }).first().waitFor();
  found.full = await bar(page, "agent=first").getAttribute("class");
  found.meter = await bar(page, "agent=first").locator("[role=meter]").getAttribute("aria-valuetext");
  // Why it is refused, and the story behind the number of the call.
  const refused = await call("first");
  found.refused = refused.status;
  const row = page.locator("#refusals tbody tr", { hasText: "agent=first" });
  await row.waitFor();
  found.why = await row.locator("td").nth(2).textContent();
  await row.locator("button").click();
  await page.locator("#story-events li", { hasText: "refused" }).first().waitFor();
  found.story = await page.locator("#story-events li").allTextContents();
  await page.keyboard.press("Escape");
  // By the keyboard alone: the filter.
  await page.locator("h1").click();
  await page.keyboard.press("/");
  await page.keyboard.type("agent=first");
  await page.waitForFunction(() => document.querySelectorAll("#limit-bars li").length === 1);
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.keyboard.press("Tab");
  // By its number.
  await page.locator("#call").fill(first.call);
  await page.keyboard.press("Enter");
  await page.locator("#story-events li", { hasText: "over: ok 200" }).first().waitFor();
  found.title = await page.locator("#story-title").textContent();
  await page.keyboard.press("Escape");
  // Who spends, as a plot and as a table.
  await page.locator("#by").selectOption("agent");
  await page.locator("#figure").selectOption("attempts");
  await page.locator("#legend", { hasText: "first 3" }).first().waitFor();
  found.rects = await page.locator("#plot rect.series").count();
  await page.locator("#costs tbody tr", { hasText: "first" }).first().waitFor();
  await glance(page, "refused", /^1in/);
  await page.locator("#span").selectOption("hour");
  await page.locator("#legend", { hasText: "first 3" }).first().waitFor();
  // What is at a glance goes on, whatever the plot is of.
  await call("first");
  found.refusals = await glance(page, "refused", /^2in/);
  // What callers write is text.
  await call("<img src=x onerror=document.title='taken'>");
  await bar(page, "<img src=x").first().waitFor();
  found.document = await page.title();
  found.images = await page.locator("main img").count();
  // Held still.
  await page.locator("h1").click();
  await page.keyboard.press("p");
  found.held = await page.locator("#hold").getAttribute("aria-pressed");
  await page.keyboard.press("p");
  await page.locator("#state.good").waitFor();
  // Whoever reads by the keyboard keeps the place: nothing is made anew that is as it was.
  await page.locator("#refusals button").first().focus();
  await page.waitForResponse((answer) => answer.url().endsWith("/quota/refusals"));
  await page.waitForResponse((answer) => answer.url().endsWith("/quota/refusals"));
  found.focus = await page.evaluate(() => document.activeElement.dataset.call !== undefined);
  found.budget = await page.locator("#budget-bars li").first().locator(".figures").textContent();
  found.key_in_page = (await page.content()).includes(VIEWER);
  found.errors = seen.errors;
  found.hosts = [...seen.hosts];
  return found;
}

async function team(browser) {
  const { page, seen } = await open(browser, { viewport: { width: 1280, height: 900 } });
  // What was seen with another key is gone, and Escape chooses nothing.
  await show(page, VIEWER);
  await bar(page, "requests 1000/hour").first().waitFor();
  await page.locator("#key").click();
  await page.keyboard.type("tq-mistyped");
  await page.keyboard.press("Escape");
  await page.waitForResponse((answer) => answer.url().endsWith("/quota/status") && answer.ok());
  await page.locator("#key").click();
  await page.locator("button[value=forget]").click();
  await page.locator("#state.bad").waitFor();
  const left = await page.locator("#limit-bars li, tbody tr").count();
  await page.locator("#key").click();
  await show(page, TEAM);
  await page.locator("#limit-bars li").first().waitFor();
  const found = {
    left,
    state: await page.locator("#state").textContent(),
    limits: await page.locator("#limit-bars .name").allTextContents(),
    budgets: await page.locator("#budget-bars .name").allTextContents(),
    errors: seen.errors,
  };
  await page.locator("#targets-section").waitFor({ state: "hidden" });
  return found;
}

/// Minutes are told to nobody with such a key: what hangs on them is not known, and is not said to be nothing.
async function user(browser) {
  const { page } = await open(browser, { viewport: { width: 1280, height: 900 } });
  const untold = page.waitForResponse((answer) => answer.url().endsWith("/quota/minutes?by=agent") && answer.status() === 400);
  await show(page, USER_KEY);
  await untold;
  // The second is asked for once the first is shown.
  await page.waitForResponse((answer) => answer.url().endsWith("/quota/status"));
  await page.waitForResponse((answer) => answer.url().endsWith("/quota/status"));
  return {
    refused: await glance(page, "refused", /^–/),
    fit: await glance(page, "more agents fit", /^–/),
  };
}

/// Whether everything stays within the screen, and how much the texts stand out, in each look.
async function looks(browser) {
  const found = {};
  for (const [name, options] of Object.entries({
    light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
    dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
    phone: { viewport: { width: 360, height: 740 }, colorScheme: "light", isMobile: true },
  })) {
    const { page } = await open(browser, options);
    await show(page, VIEWER);
    await page.locator("#limit-bars .meter").first().waitFor();
    await page.locator("#legend span").first().waitFor();
    // A phone makes room for what is too wide: what it is really wide is known.
    found[name] = await page.evaluate((width) => {
      const light = (colour) => {
        const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => Number(part) / 255);
        const [r, g, b] = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (!colour.endsWith(", 0)")) return colour;
        }
        return "rgb(255, 255, 255)";
      };
      let contrast = Infinity;
      for (const element of document.querySelectorAll("main *, header *")) {
        const own = [...element.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!own || element.closest("svg, select, .shadow") || element.offsetParent === null) continue;
        const [one, other] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
        contrast = Math.min(contrast, (one + 0.05) / (other + 0.05));
      }
      return { overflow: document.documentElement.scrollWidth - width, contrast };
    }, options.viewport.width);
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
  }
  return found;
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  try {
    const found = {
      everything: await everything(browser), team: await team(browser), user: await user(browser), looks: await looks(browser),
    };
    console.log(JSON.stringify(found));
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
