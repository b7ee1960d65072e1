//! Every number is run once, whoever calls, stops, panics or forks.

use super::*;
use std::sync::atomic::AtomicU32;

const BOTH: [Tasks; 2] = [Tasks::Brief, Tasks::Long];

fn busy(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn never() -> bool {
    false
}

/// Run, and count how often each number came.
fn counted(count: usize, threads: usize, tasks: Tasks, time: Duration) {
    let seen: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
    let task = |number: usize, _: &mut WorkerLocal| {
        busy(time);
        seen[number].fetch_add(1, Ordering::Relaxed);
    };
    let outcome = run(count, threads, tasks, &task, &mut never);
    assert_eq!(outcome, Ok(Outcome::Done));
    assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
}

#[test]
fn every_number_comes_once() {
    for tasks in BOTH {
        for threads in [0, 1, 2, 3, 8, 100] {
            for count in [0, 1, 2, 3, 17, 100, 10_000] {
                counted(count, threads, tasks, Duration::ZERO);
            }
            counted(20, threads, tasks, Duration::from_micros(200));
        }
    }
}

#[test]
fn many_short_calls_do_not_lose_a_wake_up() {
    for tasks in BOTH {
        for i in 0..3000 {
            counted(1 + i % 7, 1 + i % 4, tasks, Duration::ZERO);
        }
    }
}

#[test]
fn threads_work_at_once() {
    // Each waits for the other, so that one alone would never end.
    let barrier = std::sync::Barrier::new(3);
    for tasks in BOTH {
        let task = |_: usize, _: &mut WorkerLocal| {
            barrier.wait();
        };
        assert_eq!(run(3, 3, tasks, &task, &mut never), Ok(Outcome::Done));
    }
}

#[test]
fn stops_when_asked() {
    for (tasks, threads) in [
        (Tasks::Brief, 1),
        (Tasks::Brief, 3),
        (Tasks::Long, 1),
        (Tasks::Long, 3),
    ] {
        let (running, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let task = |_: usize, _: &mut WorkerLocal| {
            running.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(3));
            done.fetch_add(1, Ordering::SeqCst);
            running.fetch_sub(1, Ordering::SeqCst);
        };
        let begin = Instant::now();
        let outcome = run(100_000, threads, tasks, &task, &mut || {
            begin.elapsed() > 3 * LOOK
        });
        assert_eq!(outcome, Ok(Outcome::Stopped));
        assert!(begin.elapsed() < Duration::from_secs(2));
        let so_far = done.load(Ordering::SeqCst);
        assert_eq!(running.load(Ordering::SeqCst), 0);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(done.load(Ordering::SeqCst), so_far);
    }
}

#[test]
fn a_task_stops_the_others() {
    for tasks in BOTH {
        for threads in [1, 3] {
            let done = AtomicUsize::new(0);
            let task = |number: usize, local: &mut WorkerLocal| {
                done.fetch_add(1, Ordering::Relaxed);
                if number == 20 {
                    local.stop();
                }
            };
            let outcome = run(1_000_000, threads, tasks, &task, &mut never);
            assert_eq!(outcome, Ok(Outcome::Stopped));
            assert!(done.load(Ordering::Relaxed) < 1_000_000);
        }
    }
}

#[test]
fn a_panic_is_an_error_and_the_pool_works_on() {
    for tasks in BOTH {
        for threads in [1, 3] {
            let task = |number: usize, _: &mut WorkerLocal| assert!(number != 7, "seven");
            let error = run(100, threads, tasks, &task, &mut never).unwrap_err();
            assert!(error.message.contains("seven"), "{error}");
            counted(100, threads, tasks, Duration::ZERO);
        }
    }
}

#[test]
fn a_panic_of_poll_leaves_nothing_running() {
    let running = AtomicUsize::new(0);
    let task = |_: usize, _: &mut WorkerLocal| {
        running.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(5));
        running.fetch_sub(1, Ordering::SeqCst);
    };
    for (tasks, threads) in [(Tasks::Brief, 1), (Tasks::Brief, 3), (Tasks::Long, 3)] {
        let result = catch_unwind(AssertUnwindSafe(|| {
            run(10_000, threads, tasks, &task, &mut || panic!("poll"))
        }));
        assert!(matches!(result, Err(_) | Ok(Err(_))));
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn calls_inside_tasks_run_where_they_are() {
    for tasks in BOTH {
        let done = AtomicUsize::new(0);
        let task = |_: usize, local: &mut WorkerLocal| {
            *local.kept::<usize>() += 1;
            let here = thread::current().id();
            let inner = |_: usize, _: &mut WorkerLocal| {
                assert_eq!(thread::current().id(), here);
                done.fetch_add(1, Ordering::Relaxed);
            };
            for tasks in BOTH {
                assert_eq!(run(5, 4, tasks, &inner, &mut never), Ok(Outcome::Done));
            }
        };
        assert_eq!(run(50, 4, tasks, &task, &mut never), Ok(Outcome::Done));
        assert_eq!(done.load(Ordering::Relaxed), 500);
    }
}

#[test]
fn many_callers_share_the_pool() {
    thread::scope(|scope| {
        for i in 0..12usize {
            scope.spawn(move || {
                for j in 0..40 {
                    counted(60, 1 + (i + j) % 5, BOTH[i % 2], Duration::from_micros(20));
                }
            });
        }
    });
}

#[test]
fn a_short_call_does_not_wait_for_a_long_one() {
    let (begun, end) = &(AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(move || {
            let task = |_: usize, _: &mut WorkerLocal| {
                begun.store(true, Ordering::Release);
                thread::sleep(Duration::from_millis(1));
            };
            run(1_000_000, 64, Tasks::Long, &task, &mut || {
                end.load(Ordering::Acquire)
            })
            .unwrap();
        });
        while !begun.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let begin = Instant::now();
        for _ in 0..5 {
            counted(4, 4, Tasks::Long, Duration::ZERO);
        }
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
        end.store(true, Ordering::Release);
    });
}

#[test]
fn a_call_for_which_all_workers_wait_is_worked_for() {
    // More than any other test asks for, so that no worker of the pool is left.
    const ALL: usize = 100;
    let (begun, done) = (&AtomicUsize::new(0), &AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(move || {
            let task = |_: usize, _: &mut WorkerLocal| {
                begun.fetch_add(1, Ordering::AcqRel);
                while !done.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                }
            };
            run(ALL, ALL, Tasks::Long, &task, &mut never).unwrap();
        });
        while begun.load(Ordering::Acquire) < ALL {
            thread::yield_now();
        }
        let task = |_: usize, _: &mut WorkerLocal| done.store(true, Ordering::Release);
        let outcome = run(1, 1, Tasks::Long, &task, &mut never);
        assert_eq!(outcome, Ok(Outcome::Done));
    });
}

#[test]
fn threads_keep_what_they_made() {
    let made = AtomicUsize::new(0);
    let seen = AtomicUsize::new(0);
    for _ in 0..20 {
        let task = |_: usize, local: &mut WorkerLocal| {
            let kept = local.kept::<Vec<u8>>();
            if kept.is_empty() {
                made.fetch_add(1, Ordering::Relaxed);
                kept.push(1);
            }
            seen.fetch_add(1, Ordering::Relaxed);
        };
        run(50, 3, Tasks::Brief, &task, &mut never).unwrap();
    }
    assert_eq!(seen.load(Ordering::Relaxed), 1000);
    // Other tests' threads are of the same pool.
    assert!(made.load(Ordering::Relaxed) <= 200);
    let task = |_: usize, local: &mut WorkerLocal| assert_eq!(*local.kept::<u64>(), 0);
    run(50, 3, Tasks::Brief, &task, &mut never).unwrap();
}

#[test]
fn works_again_after_a_shutdown() {
    thread::scope(|scope| {
        for tasks in BOTH {
            scope.spawn(move || {
                for _ in 0..100 {
                    counted(20, 3, tasks, Duration::from_micros(10));
                }
            });
        }
        for _ in 0..50 {
            shutdown();
            thread::sleep(Duration::from_millis(1));
        }
    });
}

#[cfg(target_os = "linux")]
extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn alarm(seconds: u32) -> u32;
    fn _exit(status: i32) -> !;
}

/// Run in a process of its own by the test below.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by a_forked_child_has_a_pool_of_its_own"]
fn forks() {
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        for tasks in [Tasks::Brief, Tasks::Long, Tasks::Brief, Tasks::Long] {
            let end = &end;
            scope.spawn(move || {
                while !end.load(Ordering::Acquire) {
                    counted(30, 3, tasks, Duration::from_micros(5));
                }
            });
        }
        for i in 0..200 {
            let inside = i % 3;
            let forked = Cell::new(-1);
            let mut poll = || {
                if forked.get() < 0 {
                    // SAFETY: the child calls `run` and `_exit` only.
                    forked.set(unsafe { fork() });
                }
                forked.get() > 0
            };
            let task = |_: usize, _: &mut WorkerLocal| thread::sleep(LOOK / 4);
            let result = match inside {
                0 => run(1000, 3, Tasks::Brief, &task, &mut poll),
                1 => run(1000, 3, Tasks::Long, &task, &mut poll),
                _ => {
                    poll();
                    Ok(Outcome::Stopped)
                }
            };
            if forked.get() == 0 {
                // A child that hangs is ended by the alarm, one that fails by its panic.
                // SAFETY: the numbers are all that these functions ask for.
                unsafe { alarm(20) };
                let good = catch_unwind(AssertUnwindSafe(|| {
                    assert_eq!(result.is_err(), inside < 2);
                    for tasks in BOTH {
                        counted(100, 3, tasks, Duration::ZERO);
                    }
                }));
                // SAFETY: as above.
                unsafe { _exit(i32::from(good.is_err())) };
            }
            assert_eq!(result, Ok(Outcome::Stopped));
            let mut status = -1;
            // SAFETY: the status is written to.
            let pid = unsafe { waitpid(forked.get(), &mut status, 0) };
            assert_eq!((pid, status), (forked.get(), 0));
        }
        end.store(true, Ordering::Release);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_forked_child_has_a_pool_of_its_own() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["pool::tests::forks", "--exact", "--ignored"])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}
