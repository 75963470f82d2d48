// Serves the API as Lapwing does, with invented alerts, and `dist` if it was built. Node alone; only loopback.
//   node dev/mock.mjs [--port 8686] [--token secret] [--empty] [--still] [--cut-every 30]

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stories } from './alerts.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8686' },
    token: { type: 'string' },
    empty: { type: 'boolean', default: false },
    still: { type: 'boolean', default: false },
    'cut-every': { type: 'string' },
  },
});
const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const started = Date.now();
const older = 140;
const sent = [];
const listeners = new Set();
let alerts = [];

const iso = (ms) => `${new Date(ms).toISOString().slice(0, -1)}000Z`;
const hex = (text, length) => createHash('sha256').update(text).digest('hex').slice(0, length);
const uuid = (text) => hex(text, 32).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');

function alertOf(story, at, serial) {
  const { ago: _, every = 0, ...said } = story;
  const id = hex(`${story.title} ${serial}`, 32);
  const first = at - (story.count - 1) * every * 1000;
  return {
    id, rule: uuid(story.title), rule_version: 1, ...said,
    time: iso(first + Math.min(story.count - 1, 9) * every * 1000), first: iso(first), last: iso(at),
    event_ids: Array.from({ length: Math.min(story.count, 20) }, (_each, place) => uuid(`${id} ${place}`)),
    events_total: story.count, revision: Math.min(story.count, 4), state: story.state ?? 'open',
    received: iso(at + 41_200), updated: iso(at + 44_900),
  };
}

function evidenceOf(alert) {
  const first = Date.parse(alert.first);
  const step = alert.count > 1 ? (Date.parse(alert.last) - first) / (alert.count - 1) : 0;
  return alert.event_ids.map((uid, place) => {
    const time = iso(first + place * step);
    return { uid, time, event: alert.kind.startsWith('github') ? gitHub(alert, uid, time) : cloudTrail(alert, uid, time, place) };
  });
}

function cloudTrail(alert, uid, time, place) {
  const names = ['database', 'card-gateway', 'signing-key', 'ledger', 'mail', 'webhook'];
  const secretId = place ? `prod/payments/${names[place % names.length]}-${place}` : alert.target.id;
  return {
    eventVersion: '1.11', eventID: uid, eventTime: `${time.slice(0, 19)}Z`, eventSource: 'secretsmanager.amazonaws.com',
    eventName: alert.action, awsRegion: alert.target.region ?? 'us-east-1', sourceIPAddress: alert.network.ip,
    userAgent: alert.network.user_agent, recipientAccountId: alert.target.account,
    userIdentity: {
      type: alert.actor.type === 'role' ? 'AssumedRole' : 'IAMUser', arn: alert.actor.id,
      accountId: alert.target.account, accessKeyId: '[redacted: access key]',
    },
    requestParameters: { secretId, versionStage: 'AWSCURRENT' }, responseElements: null, readOnly: true,
  };
}

function gitHub(alert, uid, time) {
  return {
    '@timestamp': Date.parse(time), _document_id: uid, action: alert.action, actor: alert.actor.id,
    actor_ip: alert.network.ip, org: 'example-org', ...alert.key,
  };
}

function deliveriesOf(alert) {
  const at = iso(Date.parse(alert.received) + 300);
  const all = [{ sink: 'soc-webhook', state: 'delivered', attempts: 1, at, answer: '202' }];
  if (alert.severity === 'critical' || alert.severity === 'high') {
    all.push({ sink: 'slack-alarms', state: 'delivered', attempts: 2, at, answer: '200 ok' });
    all.push({ sink: 'pagerduty', state: 'queued', attempts: 3, at, answer: '429 Too Many Requests' });
  }
  return all;
}

function status() {
  const open = {};
  for (const alert of alerts) if (alert.state === 'open') open[alert.severity] = (open[alert.severity] ?? 0) + 1;
  const events = 1_204_518 + Math.floor((Date.now() - started) / 9);
  return {
    version: '0.1.0', started: iso(started - 3 * 86_400_000), rules: 25,
    sources: [
      { name: 'trail', kind: 'aws.cloudtrail', type: 'cloudwatch', events, rejects: 0, lag_seconds: 38.4, state: 'running' },
      { name: 'github', kind: 'github.webhook', type: 'http', events: 48_211, rejects: 3, lag_seconds: 0.6, state: 'running' },
      { name: 'audit', kind: 'github.audit', type: 'kafka', events: 9120, rejects: 0, state: 'idle' },
    ],
    sinks: [
      { name: 'soc-webhook', type: 'webhook', queued: 0, dead: 0, state: 'ok' },
      { name: 'slack-alarms', type: 'slack', queued: 0, dead: 0, state: 'ok' },
      { name: 'pagerduty', type: 'pagerduty', queued: 2, dead: 0, state: 'retrying' },
    ],
    alerts: open,
  };
}

function list(parameters) {
  const wanted = (parameters.get('severity') ?? '').split(',').filter(Boolean);
  const words = (parameters.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const found = alerts.filter((alert) => {
    const text = JSON.stringify(alert).toLowerCase();
    return (wanted.length === 0 || wanted.includes(alert.severity)) && words.every((word) => text.includes(word));
  });
  const after = parameters.get('after');
  const from = after ? found.findIndex((alert) => alert.id === after) + 1 : 0;
  const page = found.slice(from, from + Number(parameters.get('limit') ?? 50));
  const more = from + page.length < found.length;
  return { alerts: page, next: more ? page.at(-1).id : null };
}

function raise(story, serial) {
  const alert = { ...alertOf(story, Date.now() - 40_000, serial), received: iso(Date.now()) };
  alerts = [alert, ...alerts];
  sent.push(alert);
  for (const listener of listeners) tell(listener, sent.length);
}

function tell(response, sequence) {
  response.write(`event: alert\nid: ${sequence}\ndata: ${JSON.stringify(sent[sequence - 1])}\n\n`);
}

function stream(request, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.write(`: here\nid: ${sent.length}\n\n`);
  const last = request.headers['last-event-id'];
  for (let next = Number(last ?? sent.length) + 1; next <= sent.length; next += 1) tell(response, next);
  listeners.add(response);
  const beat = setInterval(() => response.write(': still here\n\n'), 15_000);
  const cut = options['cut-every'] && setTimeout(() => response.destroy(), Number(options['cut-every']) * 1000);
  response.on('close', () => {
    listeners.delete(response);
    clearInterval(beat);
    clearTimeout(cut);
  });
}

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async function file(path, response) {
  const name = normalize(path === '/' ? '/index.html' : path);
  try {
    const bytes = await readFile(join(dist, name));
    response.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': policy });
    response.end(bytes);
  } catch {
    send(response, 404, { code: 'not_found', message: 'There is no such page.', hint: 'Run npm run build first.' });
  }
}

function send(response, code, body) {
  response.writeHead(code, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://loopback');
  const path = url.pathname;
  if (!path.startsWith('/api/')) return void file(path, response);
  if (options.token && request.headers.authorization !== `Bearer ${options.token}`) {
    return send(response, 401, { code: 'unauthorised', message: 'The API token is missing or wrong.', hint: 'Enter the value of api.token.' });
  }
  if (path === '/api/v1/status') return send(response, 200, status());
  if (path === '/api/v1/alerts') return send(response, 200, list(url.searchParams));
  if (path === '/api/v1/alerts/stream') return stream(request, response);
  const alert = alerts.find((each) => path === `/api/v1/alerts/${each.id}`);
  if (alert) return send(response, 200, { ...alert, evidence: evidenceOf(alert), deliveries: deliveriesOf(alert) });
  send(response, 404, { code: 'not_found', message: 'There is no such alert.', hint: 'It may have been removed by retention.' });
});

if (!options.empty) {
  const now = Date.now();
  alerts = stories.map((story) => alertOf(story, now - story.ago * 60_000, 0));
  for (let serial = 1; serial <= older; serial += 1) {
    const story = { ...stories[(serial * 5) % stories.length], state: serial % 3 ? 'closed' : 'open' };
    if (story.severity === 'critical') story.state = 'closed';
    alerts.push(alertOf(story, now - (150 + serial * 37) * 60_000, serial));
  }
}
if (!options.still) {
  let serial = older;
  setInterval(() => raise(stories[(serial += 1) % stories.length], serial), 12_000);
}
server.listen(Number(options.port), '127.0.0.1', () => console.error(`mock API at http://127.0.0.1:${server.address().port}/`));
