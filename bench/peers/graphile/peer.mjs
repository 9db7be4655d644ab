// Graphile Worker, configured as its performance page says: https://worker.graphile.org/docs/performance
import { readFileSync } from "node:fs";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { main } from "./protocol.mjs";

const connectionString = process.env.DATABASE_URL;
const BATCH = Number(process.env.PEER_BATCH ?? 10_000);
const fastest = {
  connectionString,
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: Number(process.env.PEER_LOCAL_QUEUE ?? 500) },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
// A job that is fetched ahead by nobody starts sooner.
const quickest = { connectionString, concurrentJobs: 24, maxPoolSize: 25 };

// Errors only: a line per job would be what is measured.
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});
const settings = (worker) => ({ preset: { worker: { ...worker, logger } } });
const { version } = JSON.parse(readFileSync("node_modules/graphile-worker/package.json", "utf8"));

await main({
  version:
    `graphile-worker ${version}, Node.js ${process.version}; addJobs in batches of ${BATCH}; ` +
    `24 concurrent jobs, localQueue ${fastest.localQueue.size}, completeJobBatchDelay 0 (latency: no local queue)`,
  async setup() {
    const utils = await makeWorkerUtils(settings({ connectionString }));
    await utils.migrate();
    await utils.release();
  },
  async producer() {
    const utils = await makeWorkerUtils(settings({ connectionString }));
    return {
      batch: BATCH,
      addMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: "noop", payload }))),
      addOne: (payload) => utils.addJob("noop", payload),
      close: () => utils.release(),
    };
  },
  async work(timeline, workload) {
    let runner;
    const taskList = { noop: (payload) => timeline.record(payload) };
    const worker = workload === "latency" && !process.env.PEER_ONE_PRESET ? quickest : fastest;
    return {
      async start() {
        runner = await run({ ...settings(worker), taskList, noHandleSignals: true });
      },
      stop: () => runner.stop(),
    };
  },
});
