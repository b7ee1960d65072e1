//! Threads that all callers share: made when first needed, and anew in a forked child.
//!
//! * `run` calls a task once for each number below a count, on some threads at once. When it has
//!   returned, however it did, no thread touches the task any more: each one that works for a call
//!   is a member of it, joins and leaves under the pool's lock, and the call waits for the last.
//! * A call whose tasks are brief is worked at by its own thread too, which looks at the caller's
//!   wish to stop between two tasks. A call whose tasks may be long has its thread do nothing but
//!   look, fifty times a second.
//! * Of all threads, callers' included, no more work at a time than the process has processors,
//!   unless a call asks for more. A thread goes to the call with the fewest members, and leaves one
//!   where another has none. A call from inside a task runs on the thread it is on.
//! * After a fork the child has none of the threads, and whatever lock one of them held stays held.
//!   So the child leaves the pool it was given as it is, and makes its own.
//!
//! `unsafe` is here twice: the workers outlive the tasks they are lent, and the pool is found by a
//! pointer, as every lock around it could be held at a fork.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often a call that waits or works asks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);
/// How long a worker stays with a call while another has none.
const TURN: Duration = Duration::from_millis(2);
/// How long to look for work, or for its end, before sleeping: about what it costs to be woken.
const SPIN: Duration = Duration::from_micros(60);
/// How long a worker without work keeps its scratch.
const KEEP: Duration = Duration::from_secs(1);
/// The most numbers taken at once.
const GRAIN: usize = 16;

/// What is run: called with each number and with what the thread keeps from call to call.
pub type Task<'a> = dyn Fn(usize, &mut WorkerLocal) + Sync + 'a;

/// How a call ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The task was called with every number.
    Done,
    /// It was stopped, by `poll` or by a task, and was not called with some.
    Stopped,
}

/// What tasks may take how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Milliseconds at most: the calling thread works along.
    Brief,
    /// Any time: the calling thread only looks whether it is to stop.
    Long,
}

/// What a thread keeps from task to task and from call to call: contexts and scratch.
#[derive(Default)]
pub struct WorkerLocal {
    kept: Option<Box<dyn Any + Send>>,
    call: Option<Arc<Call>>,
}

impl WorkerLocal {
    /// Give what this thread keeps, made by `Default` when it is first asked for.
    pub fn kept<T: Any + Default + Send>(&mut self) -> &mut T {
        if !self.kept.as_ref().is_some_and(|kept| kept.is::<T>()) {
            self.kept = None;
        }
        let kept = self.kept.get_or_insert_with(|| Box::<T>::default());
        // It was looked at above.
        kept.downcast_mut().unwrap_or_else(|| unreachable!())
    }

    /// Let the call end early: after a failure no further numbers are taken.
    pub fn stop(&self) {
        if let Some(call) = &self.call {
            call.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// One call.
struct Call {
    task: *const Task<'static>,
    count: usize,
    /// How many threads may work at it.
    threads: usize,
    next: AtomicUsize,
    stop: AtomicBool,
    /// How many do; written under the pool's lock.
    members: AtomicUsize,
    /// Told when the last member leaves.
    left: Condvar,
    panic: Mutex<Option<String>>,
}

// SAFETY: the task is `Sync`; the pointer to it is followed by members only, for whom `run` waits.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    fn new(task: &Task<'_>, count: usize, threads: usize, members: usize) -> Call {
        let task: *const Task<'_> = task;
        Call {
            // SAFETY: only the lifetime changes. `run` does not return before the last member has
            // left the call, and who is no member does not follow the pointer.
            task: unsafe { std::mem::transmute::<*const Task<'_>, *const Task<'static>>(task) },
            count,
            threads,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            members: AtomicUsize::new(members),
            left: Condvar::new(),
            panic: Mutex::new(None),
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn members(&self) -> usize {
        self.members.load(Ordering::Acquire)
    }

    /// Tell whether there are numbers that nobody has taken.
    fn open(&self) -> bool {
        !self.stopped() && self.next.load(Ordering::Relaxed) < self.count
    }

    /// Work at the call as one of its members, until nothing is left or `leave` says so.
    fn work(&self, local: &mut WorkerLocal, leave: &mut dyn FnMut() -> bool) {
        // SAFETY: a member calls this, so the task is alive.
        let task = unsafe { &*self.task };
        let result = catch_unwind(AssertUnwindSafe(|| {
            while self.open() {
                // Many numbers are taken several at a time, but near the end one by one.
                let left = self.count.saturating_sub(self.next.load(Ordering::Relaxed));
                let grain = (left / (8 * self.threads.max(1))).clamp(1, GRAIN);
                let first = self.next.fetch_add(grain, Ordering::Relaxed);
                for number in first..self.count.min(first.saturating_add(grain)) {
                    if self.stopped() {
                        return;
                    }
                    task(number, local);
                }
                if leave() {
                    return;
                }
            }
        }));
        if let Err(panic) = result {
            self.stop.store(true, Ordering::Relaxed);
            // What it kept may be half changed.
            local.kept = None;
            let text = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let mut found = lock(&self.panic);
            found.get_or_insert(text.unwrap_or_else(|| "a panic without words".into()));
        }
    }

    fn outcome(&self) -> Result<Outcome> {
        if let Some(text) = lock(&self.panic).take() {
            return Err(Error::codec("pool", format!("a task panicked: {text}")));
        }
        Ok(if self.stopped() {
            Outcome::Stopped
        } else {
            Outcome::Done
        })
    }
}

#[derive(Default)]
struct State {
    calls: VecDeque<Arc<Call>>,
    /// How many workers there are, and how many of them sleep.
    workers: usize,
    asleep: usize,
    /// How many threads work, callers' included.
    busy: usize,
    closing: bool,
}

struct Pool {
    owner: u32,
    processors: usize,
    state: Mutex<State>,
    wake: Condvar,
    /// Counts the calls, for workers that have not gone to sleep yet.
    submitted: AtomicUsize,
    /// How many calls there are that nobody works at.
    starved: AtomicUsize,
}

static CURRENT: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// Whether this thread is inside a task.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// What callers' threads keep: one for each call that was inside another.
    static LOCAL: RefCell<Vec<WorkerLocal>> = const { RefCell::new(Vec::new()) };
}

/// Count the processors that this process may use, at least one.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// Call `task` once for each number below `count`, on up to `threads` threads at once.
///
/// `poll` is called on the caller's thread about every 20 ms (between two tasks, if they are brief
/// or there is one thread), and stops the call by `true`; the numbers that were not taken until then
/// are left out. When this returns, no task runs any more. A panic of a task is an error.
pub fn run(
    count: usize,
    threads: usize,
    tasks: Tasks,
    task: &Task<'_>,
    poll: &mut dyn FnMut() -> bool,
) -> Result<Outcome> {
    if count == 0 {
        return Ok(Outcome::Done);
    }
    let threads = threads.clamp(1, count);
    if INSIDE.with(Cell::get) || (threads == 1 && tasks == Tasks::Brief) {
        return inline(count, task, poll);
    }
    let works = tasks == Tasks::Brief;
    let call = Arc::new(Call::new(task, count, threads, usize::from(works)));
    let Some(pool) = Pool::submit(&call, works) else {
        return inline(count, task, poll);
    };
    // Waits for the members also where `poll` panics.
    let caller = Caller {
        pool,
        call: &call,
        works,
    };
    let mut looked = Instant::now();
    let mut look = || {
        looked = Instant::now();
        // `poll` may run handlers that fork. The child has no members to wait for, nor locks to take.
        let stop = poll();
        if std::process::id() != pool.owner {
            call.stop.store(true, Ordering::Relaxed);
            return true;
        }
        if stop {
            call.stop.store(true, Ordering::Relaxed);
        }
        stop
    };
    if works {
        let mut due = Instant::now() + LOOK;
        with_local(&call, |local| {
            call.work(local, &mut || {
                if Instant::now() < due {
                    return false;
                }
                let stop = look();
                due = Instant::now() + LOOK;
                stop
            });
        });
    }
    if !caller.forked() {
        caller.wait(&mut look);
    }
    if caller.forked() {
        // The child's copy of a call that goes on in the parent.
        std::mem::forget(caller);
        return Err(Error::codec("pool", "the process forked during the call"));
    }
    drop(caller);
    call.outcome()
}

/// End the threads that have no work, and those that have when it is done. The next call makes
/// others.
pub fn shutdown() {
    let pool = CURRENT.swap(std::ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: pools are never freed.
    if let Some(pool) = unsafe { pool.as_ref() } {
        if pool.owner == std::process::id() {
            lock(&pool.state).closing = true;
            pool.submitted.fetch_add(1, Ordering::Release);
            pool.wake.notify_all();
        }
    }
}

/// Use what the calling thread keeps outside of a call, and for calls made meanwhile something else.
pub fn kept<T: Any + Default + Send, R>(f: impl FnOnce(&mut T) -> R) -> R {
    let mut local = take_local();
    let result = f(local.kept());
    put_local(local);
    result
}

/// Run on this thread alone.
fn inline(count: usize, task: &Task<'_>, poll: &mut dyn FnMut() -> bool) -> Result<Outcome> {
    let call = Arc::new(Call::new(task, count, 1, 1));
    let mut looked = Instant::now();
    with_local(&call, |local| {
        call.work(local, &mut || {
            if looked.elapsed() < LOOK {
                return false;
            }
            looked = Instant::now();
            let stop = poll();
            if stop {
                call.stop.store(true, Ordering::Relaxed);
            }
            stop
        });
    });
    call.outcome()
}

/// Call `f` with what this thread keeps; inside a task, with something else.
fn with_local(call: &Arc<Call>, f: impl FnOnce(&mut WorkerLocal)) {
    let mut local = take_local();
    local.call = Some(call.clone());
    let before = INSIDE.with(|inside| inside.replace(true));
    f(&mut local);
    INSIDE.with(|inside| inside.set(before));
    local.call = None;
    put_local(local);
}

fn take_local() -> WorkerLocal {
    let last = LOCAL.with(|locals| locals.try_borrow_mut().ok()?.pop());
    last.unwrap_or_default()
}

fn put_local(local: WorkerLocal) {
    if local.kept.is_some() {
        LOCAL.with(|locals| {
            if let Ok(mut locals) = locals.try_borrow_mut() {
                locals.push(local);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic is done under the locks; if it was, their content is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wait a little for what is about to end, and let others have the processor if they want it: it may
/// be them who is waited for.
fn spin_while(wait: impl Fn() -> bool) {
    let begin = Instant::now();
    while wait() && begin.elapsed() < SPIN {
        for _ in 0..32 {
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}

/// A call in a pool, which ends by waiting for its members.
struct Caller<'a> {
    pool: &'static Pool,
    call: &'a Arc<Call>,
    works: bool,
}

impl Caller<'_> {
    fn forked(&self) -> bool {
        std::process::id() != self.pool.owner
    }

    /// Wait until all is done and nobody works at it, and look now and then.
    fn wait(&self, look: &mut dyn FnMut() -> bool) {
        let own = usize::from(self.works);
        spin_while(|| self.call.open() || self.call.members() > own);
        let mut stopped = false;
        let mut state = lock(&self.pool.state);
        while self.call.open() || self.call.members() > own {
            let (next, time) = self
                .call
                .left
                .wait_timeout(state, LOOK)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
            if time.timed_out() && !stopped {
                drop(state);
                stopped = look();
                if self.forked() {
                    return;
                }
                state = lock(&self.pool.state);
            }
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.forked() {
            return;
        }
        if self.call.open() {
            self.call.stop.store(true, Ordering::Relaxed);
        }
        self.wait(&mut || false);
        let mut state = lock(&self.pool.state);
        state.calls.retain(|call| !Arc::ptr_eq(call, self.call));
        if self.works {
            self.call.members.fetch_sub(1, Ordering::Release);
            state.busy -= 1;
        }
        self.pool.count_starved(&state);
        // A processor is free that another call may have been waiting for.
        if self.works && state.asleep > 0 && state.calls.iter().any(|call| call.open()) {
            self.pool.wake.notify_one();
        }
    }
}

impl Pool {
    /// Give the pool of this process.
    fn current() -> &'static Pool {
        let owner = std::process::id();
        loop {
            let found = CURRENT.load(Ordering::Acquire);
            // SAFETY: pools are never freed.
            if let Some(pool) = unsafe { found.as_ref() } {
                if pool.owner == owner {
                    return pool;
                }
            }
            let made = Box::into_raw(Box::new(Pool {
                owner,
                processors: processors(),
                state: Mutex::default(),
                wake: Condvar::new(),
                submitted: AtomicUsize::new(0),
                starved: AtomicUsize::new(0),
            }));
            let swapped =
                CURRENT.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                // SAFETY: it was made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }

    /// Put a call where the workers find it. `None` if it has none and can get none.
    fn submit(call: &Arc<Call>, works: bool) -> Option<&'static Pool> {
        loop {
            let pool = Pool::current();
            let mut state = lock(&pool.state);
            if state.closing {
                // Taken away by now; the next look gives another.
                continue;
            }
            // With the caller's own thread at work, one less is wanted.
            let wanted = call.threads - usize::from(works);
            while state.workers < wanted {
                let name = format!("fastzarr-{}", state.workers);
                match thread::Builder::new()
                    .name(name)
                    .spawn(move || pool.serve())
                {
                    Ok(_) => state.workers += 1,
                    Err(_) => break,
                }
            }
            if state.workers == 0 {
                return None;
            }
            state.busy += usize::from(works);
            state.calls.push_back(call.clone());
            pool.count_starved(&state);
            pool.submitted.fetch_add(1, Ordering::Release);
            let sleeper = state.asleep > 0;
            drop(state);
            // Who is woken wakes the next one: the caller has better to do.
            if sleeper {
                pool.wake.notify_one();
            }
            return Some(pool);
        }
    }

    fn count_starved(&self, state: &State) {
        let starved = state
            .calls
            .iter()
            .filter(|call| call.members() == 0 && call.open())
            .count();
        self.starved.store(starved, Ordering::Relaxed);
    }

    /// Find the call that a free worker should go to.
    fn choose(&self, state: &State) -> Option<usize> {
        let asked = state.calls.iter().map(|call| call.threads).max();
        let room = state.busy < self.processors.max(asked.unwrap_or(0));
        (0..state.calls.len())
            .filter(|&i| {
                let call = &state.calls[i];
                let members = call.members();
                // A call that nobody works at is never left to wait for room.
                call.open() && members < call.threads && (room || members == 0)
            })
            .min_by_key(|&i| state.calls[i].members())
    }

    /// Be a worker.
    fn serve(&self) {
        let mut local = WorkerLocal::default();
        INSIDE.with(|inside| inside.set(true));
        let mut state = lock(&self.state);
        loop {
            if let Some(at) = self.choose(&state) {
                let call = state.calls.remove(at).unwrap_or_else(|| unreachable!());
                call.members.fetch_add(1, Ordering::Relaxed);
                state.busy += 1;
                // At the end of the queue, so that calls with as many members take turns.
                state.calls.push_back(call.clone());
                self.count_starved(&state);
                let more = state.asleep > 0 && self.choose(&state).is_some();
                drop(state);
                if more {
                    self.wake.notify_one();
                }
                state = self.work(&call, &mut local);
                continue;
            }
            if state.closing {
                state.workers -= 1;
                return;
            }
            let seen = self.submitted.load(Ordering::Acquire);
            drop(state);
            spin_while(|| self.submitted.load(Ordering::Acquire) == seen);
            state = lock(&self.state);
            if self.submitted.load(Ordering::Acquire) != seen {
                continue;
            }
            state.asleep += 1;
            if local.kept.is_some() {
                let (next, time) = self
                    .wake
                    .wait_timeout(state, KEEP)
                    .unwrap_or_else(PoisonError::into_inner);
                state = next;
                if time.timed_out() {
                    local.kept = None;
                }
            } else {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.asleep -= 1;
        }
    }

    /// Work at a call that was joined, and leave it.
    fn work(&self, call: &Arc<Call>, local: &mut WorkerLocal) -> MutexGuard<'_, State> {
        local.call = Some(call.clone());
        let begin = Instant::now();
        call.work(local, &mut || {
            self.starved.load(Ordering::Relaxed) > 0 && begin.elapsed() > TURN
        });
        local.call = None;
        let mut state = lock(&self.state);
        state.busy -= 1;
        if call.members.fetch_sub(1, Ordering::Release) <= 2 {
            // The caller's thread may be the other one.
            call.left.notify_all();
        }
        self.count_starved(&state);
        state
    }
}

#[cfg(test)]
mod tests;
