// What the peers written in JavaScript share: their jobs, the record of what ran, and the harness's side of the
// conversation (README.md, "A peer's program"). A peer gives { version, setup, producer, work }.
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const FIRST_ACCOUNT = 10_000_000;
const REPORT_INTERVAL_MS = 5;

/** Seconds since the Unix epoch: times of several processes are compared. */
export const wallSeconds = () => (performance.timeOrigin + performance.now()) / 1000;

/** A job's payload, about 60 bytes, and its number. */
export const payloadOf = (index) => ({ account: FIRST_ACCOUNT + index, template: "welcome", locale: "en-GB" });
const indexOf = (payload) => payload.account - FIRST_ACCOUNT;

/** Which job's handler ran when. What should not have run is kept too, up to 1000; beyond that it is counted only. */
class Timeline {
  count = 0;
  constructor(jobs) {
    this.entries = new Float64Array(2 * (jobs + 1000));
  }
  record(payload) {
    this.note(indexOf(payload), wallSeconds());
  }
  note(index, at) {
    this.entries[2 * this.count] = index;
    this.entries[2 * this.count + 1] = at;
    this.count++;
  }
  write(file) {
    writeFileSync(file, new Uint8Array(this.entries.buffer, 0, Math.min(2 * this.count, this.entries.length) * 8));
  }
}

const say = (line) => process.stdout.write(line + "\n");

async function enqueue(peer, jobs) {
  const producer = await peer.producer();
  const start = wallSeconds();
  for (let first = 0; first < jobs; first += producer.batch) {
    const size = Math.min(producer.batch, jobs - first);
    await producer.addMany(Array.from({ length: size }, (_, i) => payloadOf(first + i)));
  }
  say(`seconds ${wallSeconds() - start}`);
  await producer.close();
}

// One job at each multiple of the interval; one that is late is sent at once. Each is confirmed before the next.
async function produce(peer, count, interval, file) {
  const producer = await peer.producer();
  const called = new Timeline(count);
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const wait = start + i * interval - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    called.note(i, wallSeconds());
    await producer.addOne(payloadOf(i));
  }
  called.write(file);
  await producer.close();
}

async function work(peer, jobs, file, workload) {
  const timeline = new Timeline(jobs);
  const run = await peer.work(timeline, workload);
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const expect = async (wanted) => {
    const { value } = await lines.next();
    if (value !== wanted) throw new Error(`expected '${wanted}' on standard input, not '${value}'`);
  };
  say("ready");
  await expect("go");
  let said = 0;
  const reporter = setInterval(() => {
    if (timeline.count !== said) say(`count ${(said = timeline.count)}`);
  }, REPORT_INTERVAL_MS);
  await run.start();
  await expect("stop");
  await run.stop();
  clearInterval(reporter);
  timeline.write(file);
  say(`stopped ${timeline.count}`);
  process.exit(0);
}

export async function main(peer) {
  const [command, ...words] = process.argv.slice(2);
  try {
    if (command === "version") say(peer.version);
    else if (command === "setup") await peer.setup();
    else if (command === "enqueue") await enqueue(peer, Number(words[0]));
    else if (command === "work") await work(peer, Number(words[0]), words[1], words[2]);
    else if (command === "produce") await produce(peer, Number(words[0]), Number(words[1]), words[2]);
    else throw new Error("usage: version | setup | enqueue JOBS | work JOBS FILE WORKLOAD | produce JOBS MS FILE");
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
