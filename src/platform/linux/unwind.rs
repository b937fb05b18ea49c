//! What the standard library asks of an unwinder, for a program that never unwinds.
//!
//! A release aborts on a panic and has no unwind tables, so libgcc_s.so has nothing to tell it. To
//! load it costs each start 0.2 ms, most of it in questions to the processor that trap on a virtual
//! machine. With these symbols here, the linker finds that no one needs it. A backtrace is empty
//! then, as it was before.
#![allow(unsafe_code, reason = "the names are those of the platform's C++ ABI")]
#![allow(non_snake_case, reason = "the names are those of the platform's C++ ABI")]

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`
const END_OF_STACK: c_int = 5;

type Context = *const c_void;

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *const c_void) -> c_int {
    END_OF_STACK
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *const c_void) -> ! {
    std::process::abort()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_FindEnclosingFunction(_address: *const c_void) -> *const c_void {
    std::ptr::null()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIP(_context: Context) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIPInfo(_context: Context, _before: *const c_int) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetCFA(_context: Context) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetLanguageSpecificData(_context: Context) -> *const c_void {
    std::ptr::null()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetRegionStart(_context: Context) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetTextRelBase(_context: Context) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetDataRelBase(_context: Context) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetGR(_context: Context, _register: c_int, _value: usize) {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetIP(_context: Context, _address: usize) {}
