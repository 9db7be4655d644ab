// River: its own benchmark's settings (MaxWorkers 2,000), COPY for bulk inserts, no-op workers.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	firstAccount   = 10_000_000
	reportInterval = 5 * time.Millisecond
)

var (
	insertBatch = number("PEER_BATCH", 5_000)
	maxWorkers  = number("PEER_WORKERS", 2_000)
	cooldown    = time.Duration(number("PEER_COOLDOWN_MS", 2)) * time.Millisecond
)

func number(name string, otherwise int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return value
	}
	return otherwise
}

// Args is a job's payload, about 60 bytes; the account is the job's number.
type Args struct {
	Account  int64  `json:"account"`
	Template string `json:"template"`
	Locale   string `json:"locale"`
}

func (Args) Kind() string { return "noop" }

func argsOf(index int) Args {
	return Args{Account: firstAccount + int64(index), Template: "welcome", Locale: "en-GB"}
}

func wallSeconds() float64 { return float64(time.Now().UnixNano()) / 1e9 }

// timeline keeps which job's handler ran when; what comes after its room is counted only.
type timeline struct {
	entries []float64
	count   atomic.Int64
}

func newTimeline(jobs int) *timeline { return &timeline{entries: make([]float64, 2*(jobs+1000))} }

func (t *timeline) note(index int64, at float64) {
	slot := 2 * (t.count.Add(1) - 1)
	if slot < int64(len(t.entries)) {
		t.entries[slot], t.entries[slot+1] = float64(index), at
	}
}

func (t *timeline) write(file string) error {
	var out bytes.Buffer
	known := min(int64(len(t.entries)), 2*t.count.Load())
	if err := binary.Write(&out, binary.LittleEndian, t.entries[:known]); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

type worker struct {
	river.WorkerDefaults[Args]
	timeline *timeline
}

func (w *worker) Work(_ context.Context, job *river.Job[Args]) error {
	w.timeline.note(job.Args.Account-firstAccount, wallSeconds())
	return nil
}

func open(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	return pool, pool.Ping(ctx)
}

func setup(ctx context.Context) error {
	pool, err := open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func producer(ctx context.Context) (*river.Client[pgx.Tx], error) {
	pool, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return river.NewClient(riverpgxv5.New(pool), &river.Config{})
}

func enqueue(ctx context.Context, jobs int) error {
	client, err := producer(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	for first := 0; first < jobs; first += insertBatch {
		params := make([]river.InsertManyParams, min(insertBatch, jobs-first))
		for i := range params {
			params[i].Args = argsOf(first + i)
		}
		if _, err := client.InsertManyFast(ctx, params); err != nil {
			return err
		}
	}
	fmt.Println("seconds", time.Since(start).Seconds())
	return nil
}

// One job at each multiple of the interval; one that is late is sent at once. Each is confirmed before the next.
func produce(ctx context.Context, count int, interval time.Duration, file string) error {
	client, err := producer(ctx)
	if err != nil {
		return err
	}
	called := newTimeline(count)
	start := time.Now()
	for i := range count {
		time.Sleep(time.Until(start.Add(time.Duration(i) * interval)))
		called.note(int64(i), wallSeconds())
		if _, err := client.Insert(ctx, argsOf(i), nil); err != nil {
			return err
		}
	}
	return called.write(file)
}

func newWorker(ctx context.Context, ran *timeline) (*river.Client[pgx.Tx], error) {
	pool, err := open(ctx)
	if err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{timeline: ran})
	return river.NewClient(riverpgxv5.New(pool), &river.Config{
		FetchCooldown:     cooldown,
		FetchPollInterval: 20 * time.Millisecond,
		Logger:            slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
		Workers:           workers,
	})
}

func expect(lines *bufio.Scanner, wanted string) error {
	if !lines.Scan() || lines.Text() != wanted {
		return fmt.Errorf("expected %q on standard input, not %q", wanted, lines.Text())
	}
	return nil
}

func work(ctx context.Context, jobs int, file string) error {
	ran := newTimeline(jobs)
	client, err := newWorker(ctx, ran)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	if err := expect(lines, "go"); err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		said := int64(0)
		for {
			select {
			case <-over:
				return
			case <-time.After(reportInterval):
			}
			if count := ran.count.Load(); count != said {
				fmt.Println("count", count)
				said = count
			}
		}
	}()
	if err := expect(lines, "stop"); err != nil {
		return err
	}
	if err := client.Stop(ctx); err != nil {
		return err
	}
	close(over)
	if err := ran.write(file); err != nil {
		return err
	}
	fmt.Println("stopped", ran.count.Load())
	return nil
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	river := "?"
	for _, module := range info.Deps {
		if module.Path == "github.com/riverqueue/river" {
			river = module.Version
		}
	}
	return fmt.Sprintf("river %s, %s; InsertManyFast in batches of %d; MaxWorkers %d, FetchCooldown %v", river,
		info.GoVersion, insertBatch, maxWorkers, cooldown)
}

func run(words []string) error {
	ctx := context.Background()
	at := func(i int) int { value, _ := strconv.Atoi(words[i]); return value }
	switch {
	case len(words) == 1 && words[0] == "version":
		fmt.Println(version())
		return nil
	case len(words) == 1 && words[0] == "setup":
		return setup(ctx)
	case len(words) == 2 && words[0] == "enqueue":
		return enqueue(ctx, at(1))
	case len(words) == 4 && words[0] == "work":
		return work(ctx, at(1), words[2])
	case len(words) == 4 && words[0] == "produce":
		return produce(ctx, at(1), time.Duration(at(2))*time.Millisecond, words[3])
	}
	return errors.New("usage: version | setup | enqueue JOBS | work JOBS FILE WORKLOAD | produce JOBS MS FILE")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
