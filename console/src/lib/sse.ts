// Reads `text/event-stream` as it arrives, cut anywhere: in a line, in a pair of CR LF, between two messages.

export interface Message {
  event: string;
  data: string;
  /** The last id seen so far; it stays until another one comes. */
  id: string;
}

/** A message longer than this is not ours (alerts are capped far below). */
const messageMax = 8 * 1024 * 1024;

export class Parser {
  /** How long the server asks us to wait before we come back, if it said so. */
  retryMs: number | null = null;
  #rest = '';
  #skipNewline = false;
  #started = false;
  #event = '';
  #data: string[] = [];
  #size = 0;

  constructor(public lastId: string) {}

  push(chunk: string): Message[] {
    if (chunk === '') return [];
    let text = this.#started ? chunk : chunk.replace(/^\uFEFF/, '');
    this.#started = true;
    if (this.#skipNewline && text.startsWith('\n')) text = text.slice(1);
    this.#skipNewline = chunk.endsWith('\r');

    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length + this.#size > messageMax) throw new Error('a live message is too long');

    const messages: Message[] = [];
    for (const line of lines) {
      const message = this.#line(line);
      if (message) messages.push(message);
    }
    return messages;
  }

  #line(line: string): Message | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    } else if (field === 'event') {
      this.#event = value;
    } else if (field === 'id' && !value.includes('\0')) {
      this.lastId = value;
    } else if (field === 'retry' && /^\d+$/.test(value)) {
      this.retryMs = Number(value);
    }
    return null;
  }

  #dispatch(): Message | null {
    const message = { event: this.#event || 'message', data: this.#data.join('\n'), id: this.lastId };
    const empty = this.#data.length === 0;
    this.#event = '';
    this.#data = [];
    this.#size = 0;
    return empty ? null : message;
  }
}
