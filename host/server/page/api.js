// The server's API: models, balance, and answers as they stream.

/** An error that the server gave, or that kept us from it. */
export class ApiError extends Error {
  constructor(message, status, retryAfter) {
    super(message);
    this.status = status; // 0: the server was not reached
    this.retryAfter = retryAfter;
  }
}

function headers(key) {
  const all = { 'Content-Type': 'application/json' };
  if (key) all.Authorization = `Bearer ${key}`;
  return all;
}

async function reach(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, credentials: 'omit', cache: 'no-store', redirect: 'error' });
  } catch (why) {
    if (why.name === 'AbortError') throw why;
    throw new ApiError('The server cannot be reached.', 0);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `The server answered ${response.status}.`;
  throw new ApiError(message, response.status, Number(response.headers.get('Retry-After')) || undefined);
}

export async function listModels(key) {
  return (await (await reach('v1/models', { headers: headers(key) })).json()).data;
}

/** The pictures that the model draws, as data URLs, and what they took. */
export async function draw(request, key, signal) {
  const response = await reach('v1/images/generations', {
    method: 'POST', headers: headers(key), body: JSON.stringify({ ...request, response_format: 'b64_json' }), signal,
  });
  const body = await response.json(); // blank lines before it kept the connection alive
  if (body.error) throw new ApiError(body.error.message, 500);
  return { pictures: body.data.map((one) => `data:image/png;base64,${one.b64_json}`), usage: body.usage };
}

/** Yields the events of one streamed answer, parsed. Throws ApiError when the stream breaks off. */
export async function* stream(request, key, signal) {
  const response = await reach('v1/chat/completions', {
    method: 'POST', headers: headers(key), body: JSON.stringify(request), signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (why) {
      if (why.name === 'AbortError') throw why;
      throw new ApiError('The connection broke off.', 0);
    }
    if (part.done) throw new ApiError('The connection broke off.', 0);
    buffer += part.value;
    const lines = buffer.split('\n');
    buffer = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice(5).trim();
      if (data === '[DONE]') return;
      const event = JSON.parse(data);
      if (event.error) throw new ApiError(event.error.message, 500);
      yield event;
    }
  }
}
