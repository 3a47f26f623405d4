"use strict";
// OpenAI's own package, told nothing but OPENAI_BASE_URL and OPENAI_API_KEY.

const { OpenAI } = require("openai");
const { MODEL, LONG, SAY, ASK, SCHEMA, USED_UP, thin, refusals, usedUp, cut, failures } = require("./common.js");

const FUNCTION = { type: "function", function: { name: "weather", parameters: SCHEMA } };
const TOOL = { type: "function", name: "weather", parameters: SCHEMA, strict: false };

const client = new OpenAI();

async function chat() {
  const answer = await client.chat.completions.create({ model: MODEL, messages: ASK });
  const { prompt_tokens: input, completion_tokens: output } = answer.usage;
  return { text: answer.choices[0].message.content, input, output };
}

async function stream(more) {
  let [text, chunks, usage] = ["", 0, null];
  for await (const chunk of await client.chat.completions.create({ model: MODEL, messages: ASK, stream: true, ...more })) {
    chunks += 1;
    text += chunk.choices.map((choice) => choice.delta.content ?? "").join("");
    usage = chunk.usage ?? usage;
  }
  return { text, chunks, output: usage && usage.completion_tokens };
}

// The call of a tool, and what is said when it has returned.
async function tools() {
  const tools = [FUNCTION];
  const answer = await client.chat.completions.create({ model: MODEL, messages: ASK, tools });
  const message = answer.choices[0].message;
  const call = message.tool_calls[0];
  const messages = [...ASK, message, { role: "tool", tool_call_id: call.id, content: "-20 °C" }];
  const then = await client.chat.completions.create({ model: MODEL, messages, tools });
  const args = JSON.parse(call.function.arguments);
  return { name: call.function.name, arguments: args, then: then.choices[0].message.content };
}

async function toolsStream() {
  const events = client.chat.completions.stream({ model: MODEL, messages: ASK, tools: [FUNCTION] });
  const call = (await events.finalChatCompletion()).choices[0].message.tool_calls[0];
  return { name: call.function.name, arguments: JSON.parse(call.function.arguments) };
}

async function embeddings() {
  const answer = await client.embeddings.create({ model: MODEL, input: ["one", "two"], dimensions: 4 });
  return { lengths: answer.data.map((one) => one.embedding.length), input: answer.usage.prompt_tokens };
}

async function responses() {
  const answer = await client.responses.create({ model: MODEL, input: SAY });
  const { input_tokens: input, output_tokens: output } = answer.usage;
  return { text: answer.output_text, input, output };
}

async function responsesStream() {
  let chunks = 0;
  const events = client.responses.stream({ model: MODEL, input: SAY });
  for await (const event of events) chunks += event.type === "response.output_text.delta";
  const answer = await events.finalResponse();
  return { text: answer.output_text, chunks, output: answer.usage.output_tokens };
}

async function responsesTools() {
  const tools = [TOOL];
  const call = (await client.responses.create({ model: MODEL, input: SAY, tools })).output[0];
  const result = { type: "function_call_output", call_id: call.call_id, output: "-20 °C" };
  const then = await client.responses.create({ model: MODEL, input: [...ASK, call, result], tools });
  return { name: call.name, arguments: JSON.parse(call.arguments), then: then.output_text };
}

async function responsesToolsStream() {
  const events = client.responses.stream({ model: MODEL, input: SAY, tools: [TOOL] });
  const call = (await events.finalResponse()).output[0];
  return { name: call.name, arguments: JSON.parse(call.arguments) };
}

async function models() {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  return names;
}

const call = (model, headers) =>
  client.chat.completions.create({ model, messages: ASK, max_tokens: 1_000 }, { headers });
const said = (error) => ({ status: error.status, message: error.error.message, code: error.code });

const once = client.withOptions({ defaultHeaders: USED_UP });
const ELSE = {
  stream: () => once.chat.completions.create({ model: MODEL, messages: ASK, stream: true }),
  responses: () => once.responses.create({ model: MODEL, input: SAY }),
  responses_stream: () => once.responses.create({ model: MODEL, input: SAY, stream: true }),
  embeddings: () => once.embeddings.create({ model: MODEL, input: SAY }),
  models: () => once.models.list(),
};

async function cuts() {
  const said = (error) => ({ message: error.message, code: error.code });
  const [model, stream] = [LONG, true];
  const chat = client.chat.completions.create({ model, messages: ASK, stream }, { headers: thin("chat") });
  const responses = client.responses.create({ model, input: SAY, stream }, { headers: thin("responses") });
  return { chat: await cut(chat, OpenAI.APIError, said), responses: await cut(responses, OpenAI.APIError, said) };
}

async function main() {
  console.log(JSON.stringify({
    chat: await chat(),
    stream: await stream({}),
    stream_usage: await stream({ stream_options: { include_usage: true } }),
    tools: await tools(),
    tools_stream: await toolsStream(),
    embeddings: await embeddings(),
    responses: await responses(),
    responses_stream: await responsesStream(),
    responses_tools: await responsesTools(),
    responses_tools_stream: await responsesToolsStream(),
    models: await models(),
    refusals: await refusals(call, OpenAI.APIError, said),
    used_up: await usedUp(ELSE, OpenAI.APIError, said),
    cut: await cuts(),
    failures: await failures(call, OpenAI.APIError, (error) => ({ status: error.status })),
  }));
}

main();
