"use strict";
// Anthropic's own package, told nothing but ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY.

const { Anthropic } = require("@anthropic-ai/sdk");
const { MODEL, ASK, SCHEMA, USED_UP, refusals, usedUp, failures } = require("./common.js");

const TOOL = { name: "weather", input_schema: SCHEMA };
const WHAT = { model: MODEL, max_tokens: 1_000, messages: ASK };

const client = new Anthropic();

async function chat() {
  const answer = await client.messages.create(WHAT);
  const { input_tokens: input, output_tokens: output } = answer.usage;
  return { text: answer.content[0].text, input, output };
}

async function stream() {
  let chunks = 0;
  const events = client.messages.stream(WHAT).on("text", () => { chunks += 1; });
  const answer = await events.finalMessage();
  return { text: answer.content[0].text, chunks, output: answer.usage.output_tokens };
}

// The call of a tool, and what is said when it has returned.
async function tools() {
  const tools = [TOOL];
  const answer = await client.messages.create({ ...WHAT, tools });
  const use = answer.content[0];
  const result = { type: "tool_result", tool_use_id: use.id, content: "-20 °C" };
  const messages = [...ASK, { role: "assistant", content: answer.content }, { role: "user", content: [result] }];
  const then = await client.messages.create({ ...WHAT, messages, tools });
  return { name: use.name, arguments: use.input, then: then.content[0].text };
}

async function toolsStream() {
  const use = (await client.messages.stream({ ...WHAT, tools: [TOOL] }).finalMessage()).content[0];
  return { name: use.name, arguments: use.input };
}

async function models() {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  return names;
}

const call = (model, headers) => client.messages.create({ ...WHAT, model }, { headers });
const said = (error) => {
  const inside = error.error.error;
  return { status: error.status, message: inside.message, code: inside.details?.error_code ?? inside.code };
};

const once = client.withOptions({ defaultHeaders: USED_UP });
const ELSE = {
  stream: () => once.messages.create({ ...WHAT, stream: true }),
  models: () => once.models.list(),
  tokens: () => once.messages.countTokens({ model: MODEL, messages: ASK }),
};

async function main() {
  console.log(JSON.stringify({
    chat: await chat(),
    stream: await stream(),
    tools: await tools(),
    tools_stream: await toolsStream(),
    models: await models(),
    tokens: (await client.messages.countTokens({ model: MODEL, messages: ASK })).input_tokens,
    refusals: await refusals(call, Anthropic.APIError, said),
    used_up: await usedUp(ELSE, Anthropic.APIError, said),
    failures: await failures(call, Anthropic.APIError, (error) => ({ status: error.status })),
  }));
}

main();
