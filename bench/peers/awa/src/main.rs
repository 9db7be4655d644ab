//! Awa on its queue storage: COPY for bulk inserts, jobs without a deadline (its receipts-only path), several claimers.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use awa::{insert, Client, InsertOpts, JobArgs, JobContext, JobError, JobResult, QueueConfig, QueueStorage};
use awa::{insert_with, InsertParams, QueueStorageConfig};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const AWA_VERSION: &str = env!("AWA_VERSION");
const QUEUE: &str = "default";
const FIRST_ACCOUNT: i64 = 10_000_000;
const REPORT_INTERVAL: Duration = Duration::from_millis(5);
const QUEUE_ROTATION: Duration = Duration::from_secs(1);
const LEASE_ROTATION: Duration = Duration::from_millis(250);

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
fn insert_batch() -> usize {
    number("PEER_BATCH", 5_000)
}
fn max_workers() -> usize {
    number("PEER_WORKERS", 1_024)
}
fn claimers() -> usize {
    number("PEER_CLAIMERS", 1)
}

/// A job's payload, about 60 bytes; the account is the job's number.
#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct Noop {
    account: i64,
    template: String,
    locale: String,
}

fn args_of(index: i64) -> Noop {
    Noop { account: FIRST_ACCOUNT + index, template: "welcome".into(), locale: "en-GB".into() }
}

fn wall_seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Which job's handler ran when.
#[derive(Default)]
struct Timeline {
    entries: Mutex<Vec<(f64, f64)>>,
    count: AtomicUsize,
}

impl Timeline {
    fn note(&self, index: i64, at: f64) {
        self.entries.lock().expect("no holder panics").push((index as f64, at));
        self.count.fetch_add(1, Ordering::Relaxed);
    }
    fn write(&self, file: &str) -> std::io::Result<()> {
        let entries = self.entries.lock().expect("no holder panics");
        let bytes: Vec<u8> =
            entries.iter().flat_map(|(index, at)| [index.to_le_bytes(), at.to_le_bytes()].concat()).collect();
        std::fs::write(file, bytes)
    }
}

async fn open() -> Result<PgPool, Failure> {
    let url = std::env::var("DATABASE_URL")?;
    Ok(PgPoolOptions::new().max_connections(20).connect(&url).await?)
}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.into(), ..Default::default() }
}

async fn setup() -> Result<(), Failure> {
    let pool = open().await?;
    awa::migrations::run(&pool).await?;
    QueueStorage::new(QueueStorageConfig::default())?.install(&pool).await?;
    Ok(())
}

async fn enqueue(jobs: usize) -> Result<(), Failure> {
    let pool = open().await?;
    let store = QueueStorage::new(QueueStorageConfig::default())?;
    let start = Instant::now();
    for first in (0..jobs).step_by(insert_batch()) {
        let batch: Vec<InsertParams> = (first..jobs.min(first + insert_batch()))
            .map(|i| insert::params_with(&args_of(i as i64), options()))
            .collect::<Result<_, _>>()?;
        store.enqueue_params_copy(&pool, &batch).await?;
    }
    println!("seconds {}", start.elapsed().as_secs_f64());
    Ok(())
}

/// One job at each multiple of the interval; one that is late is sent at once. Each is confirmed before the next.
async fn produce(count: usize, interval: Duration, file: &str) -> Result<(), Failure> {
    let pool = open().await?;
    let called = Timeline::default();
    let start = tokio::time::Instant::now();
    for i in 0..count {
        tokio::time::sleep_until(start + interval * i as u32).await;
        called.note(i as i64, wall_seconds());
        insert_with(&pool, &args_of(i as i64), options()).await?;
    }
    Ok(called.write(file)?)
}

fn new_worker(pool: &PgPool, timeline: &Arc<Timeline>) -> Result<Client, Failure> {
    let timeline = timeline.clone();
    let queue = QueueConfig {
        max_workers: max_workers() as u32,
        claimers: claimers() as u16,
        poll_interval: Duration::from_millis(50),
        deadline_duration: Duration::ZERO,
        ..QueueConfig::default()
    };
    let client = Client::builder(pool.clone())
        .queue(QUEUE, queue)
        .queue_storage(QueueStorageConfig::default(), QUEUE_ROTATION, LEASE_ROTATION)
        .register::<Noop, _, _>(move |args, _: &JobContext| {
            timeline.note(args.account - FIRST_ACCOUNT, wall_seconds());
            async { Ok::<JobResult, JobError>(JobResult::Completed) }
        })
        .build()?;
    Ok(client)
}

async fn expect(lines: &mut Lines<BufReader<Stdin>>, wanted: &str) -> Result<(), Failure> {
    match lines.next_line().await? {
        Some(line) if line == wanted => Ok(()),
        other => Err(format!("expected '{wanted}' on standard input, not {other:?}").into()),
    }
}

/// Its storage is not one table: the harness asks the worker how many jobs have not ended.
async fn answer_until_stop(lines: &mut Lines<BufReader<Stdin>>, pool: &PgPool, jobs: i64) -> Result<(), Failure> {
    let store = QueueStorage::new(QueueStorageConfig::default())?;
    loop {
        match lines.next_line().await?.as_deref() {
            Some("left") => println!("left {}", jobs - store.queue_counts(pool, QUEUE).await?.terminal),
            Some("stop") => return Ok(()),
            other => return Err(format!("expected 'left' or 'stop' on standard input, not {other:?}").into()),
        }
    }
}

async fn work(jobs: i64, file: &str) -> Result<(), Failure> {
    let pool = open().await?;
    let timeline = Arc::new(Timeline::default());
    let client = new_worker(&pool, &timeline)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    println!("ready");
    expect(&mut lines, "go").await?;
    client.start().await?;
    let over = Arc::new(AtomicBool::new(false));
    let reporter = {
        let (over, timeline) = (over.clone(), timeline.clone());
        tokio::spawn(async move {
            let mut said = 0;
            while !over.load(Ordering::Relaxed) {
                tokio::time::sleep(REPORT_INTERVAL).await;
                let count = timeline.count.load(Ordering::Relaxed);
                if count != said {
                    println!("count {count}");
                }
                said = count;
            }
        })
    };
    answer_until_stop(&mut lines, &pool, jobs).await?;
    client.shutdown(Duration::from_secs(10)).await;
    over.store(true, Ordering::Relaxed);
    reporter.await?;
    timeline.write(file)?;
    println!("stopped {}", timeline.count.load(Ordering::Relaxed));
    Ok(())
}

fn version() {
    println!(
        "awa {AWA_VERSION}; enqueue_params_copy in batches of {}; queue storage, max_workers {}, claimers {}, no deadline",
        insert_batch(),
        max_workers(),
        claimers()
    );
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["version"] => version(),
        ["setup"] => setup().await?,
        ["enqueue", jobs] => enqueue(jobs.parse()?).await?,
        ["work", jobs, file, _] => work(jobs.parse()?, file).await?,
        ["produce", jobs, interval, file] => produce(jobs.parse()?, Duration::from_millis(interval.parse()?), file).await?,
        _ => return Err("usage: version | setup | enqueue JOBS | work JOBS FILE WORKLOAD | produce JOBS MS FILE".into()),
    }
    Ok(())
}
