//! Runs a closure on a small stack of its own, as Fluent Bit's coroutines do,
//! but with a guard page below and painted, so that its depth can be read.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

const PAGE: usize = 4_096;
const PAINT: u8 = 0xa5;

thread_local! {
    static JOB: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
    /// Top of the small stack that this thread is on, or 0.
    static TOP: Cell<usize> = const { Cell::new(0) };
}

/// A painted stack.
pub(crate) struct SmallStack {
    mapping: *mut u8,
    bytes: usize,
}

impl SmallStack {
    /// `bytes` of usable stack, a multiple of 4,096.
    pub(crate) fn new(bytes: usize) -> Self {
        assert_eq!(bytes % PAGE, 0);
        // SAFETY: an anonymous mapping, and its first page made inaccessible.
        let mapping = unsafe {
            let mapping = libc::mmap(
                std::ptr::null_mut(),
                bytes + PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(mapping, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(mapping, PAGE, libc::PROT_NONE), 0);
            mapping.cast::<u8>()
        };
        Self { mapping, bytes }
    }

    fn lowest(&self) -> *mut u8 {
        // SAFETY: within the mapping.
        unsafe { self.mapping.add(PAGE) }
    }

    /// Runs `work` to its end on this stack and gives its result and the bytes
    /// of stack that it touched.
    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> (R, usize) {
        let mut result = None;
        {
            let slot = &mut result;
            let job: Box<dyn FnOnce()> = Box::new(move || *slot = Some(work()));
            // SAFETY: only the lifetime is changed; the job ends before `enter`
            // returns, and so before anything that it borrows.
            let job =
                unsafe { std::mem::transmute::<Box<dyn FnOnce() + '_>, Box<dyn FnOnce()>>(job) };
            JOB.set(Some(job));
            // SAFETY: the stack is mapped and nobody else is on it.
            unsafe { self.enter() };
        }
        (result.expect("the job ran to its end"), self.touched())
    }

    unsafe fn enter(&self) {
        // SAFETY: the whole usable stack is mapped; nothing lives on it.
        unsafe { self.lowest().write_bytes(PAINT, self.bytes) };
        let top = self.lowest() as usize + self.bytes;
        let before = TOP.replace(top);
        let mut home = MaybeUninit::<libc::ucontext_t>::uninit();
        let mut away = MaybeUninit::<libc::ucontext_t>::uninit();
        // SAFETY: both contexts are filled in before they are used; the new one
        // runs on this stack and ends by going home.
        unsafe {
            assert_eq!(libc::getcontext(away.as_mut_ptr()), 0);
            let context = &mut *away.as_mut_ptr();
            context.uc_stack.ss_sp = self.lowest().cast::<c_void>();
            context.uc_stack.ss_size = self.bytes;
            context.uc_link = home.as_mut_ptr();
            libc::makecontext(context, start, 0);
            assert_eq!(libc::swapcontext(home.as_mut_ptr(), context), 0);
        }
        TOP.set(before);
    }

    /// How deep an address lies on this stack.
    pub(crate) fn depth(&self, address: usize) -> Option<usize> {
        let lowest = self.lowest() as usize;
        (lowest..lowest + self.bytes)
            .contains(&address)
            .then(|| lowest + self.bytes - address)
    }

    fn touched(&self) -> usize {
        // SAFETY: mapped, and nothing runs on it.
        let bytes = unsafe { std::slice::from_raw_parts(self.lowest(), self.bytes) };
        let clean = bytes.iter().take_while(|byte| **byte == PAINT).count();
        self.bytes - clean
    }
}

impl Drop for SmallStack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing runs on it.
        unsafe { libc::munmap(self.mapping.cast(), self.bytes + PAGE) };
    }
}

extern "C" fn start() {
    if let Some(job) = JOB.take() {
        job();
    }
}

/// How deep `address` lies on the small stack that this thread is on.
pub(crate) fn depth_of(address: usize) -> Option<usize> {
    let top = TOP.get();
    (top != 0).then(|| top.saturating_sub(address))
}
