// pg-boss: bulk insert, batches fetched without a pause while they are full, LISTEN/NOTIFY for an idle worker.
import { readFileSync } from "node:fs";
import { PgBoss } from "pg-boss";
import { main } from "./protocol.mjs";

const QUEUE = "noop";
const INSERT_BATCH = Number(process.env.PEER_BATCH ?? 5_000);
const FETCH_BATCH = Number(process.env.PEER_FETCH ?? 1_000);
const CONCURRENCY = Number(process.env.PEER_CONCURRENCY ?? 2);
const { version } = JSON.parse(readFileSync("node_modules/pg-boss/package.json", "utf8"));

async function open(options) {
  const boss = new PgBoss({
    connectionString: process.env.DATABASE_URL,
    schedule: false, // no cron here
    supervise: false, // its maintenance would only take from what is measured
    ...options,
  });
  boss.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  return boss;
}

const close = (boss) => boss.stop({ graceful: true, close: true });

await main({
  version:
    `pg-boss ${version}, Node.js ${process.version}; insert in batches of ${INSERT_BATCH}; batchSize ${FETCH_BATCH}, ` +
    `localConcurrency ${CONCURRENCY}, burstWhenBatchFull, notify`,
  async setup() {
    const boss = await open({});
    await boss.start();
    await boss.createQueue(QUEUE, { notify: true });
    await close(boss);
  },
  async producer() {
    const boss = await open({ useListenNotify: true });
    await boss.start();
    return {
      batch: INSERT_BATCH,
      addMany: (payloads) => boss.insert(QUEUE, payloads.map((data) => ({ data }))),
      addOne: (payload) => boss.send(QUEUE, payload),
      close: () => close(boss),
    };
  },
  async work(timeline, workload) {
    const boss = await open({ useListenNotify: true });
    await boss.start();
    const options = {
      batchSize: FETCH_BATCH,
      localConcurrency: CONCURRENCY,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5,
    };
    return {
      start: () =>
        boss.work(QUEUE, options, async (jobs) => {
          for (const job of jobs) timeline.record(job.data);
        }),
      stop: () => close(boss),
    };
  },
});
