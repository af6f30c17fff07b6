//! libpcap, as a library that is loaded.
#![allow(unsafe_code)]

use std::{
    error::Error,
    ffi::{CStr, CString, c_char, c_int, c_uint},
    ptr, slice,
    sync::{Mutex, PoisonError},
};

use icmptap_proto::Instruction;
use libloading::Library;

use super::{FilterError, misunderstood};

/// Debian calls the library by an older version's name, everybody else by this
/// one's.
const FILES: [&str; 2] = ["libpcap.so.1", "libpcap.so.0.8"];

/// Packets that start with their IP header (`DLT_RAW` in `pcap/dlt.h`, on
/// Linux).
const DLT_RAW: c_int = 12;
/// What a filter that takes a packet returns; any number but 0 would do.
const SNAPLEN: c_int = 65_535;
/// `PCAP_NETMASK_UNKNOWN`: `ip broadcast` cannot be asked for.
const NETMASK_UNKNOWN: u32 = u32::MAX;

/// Before libpcap 1.8, `pcap_compile` uses global variables.
static ALONE: Mutex<()> = Mutex::new(());

/// `pcap_t`
type Handle = *mut u8;
type OpenDead = unsafe extern "C" fn(c_int, c_int) -> Handle;
type Compile = unsafe extern "C" fn(Handle, *mut BpfProgram, *const c_char, c_int, u32) -> c_int;
type GetErr = unsafe extern "C" fn(Handle) -> *const c_char;
type FreeCode = unsafe extern "C" fn(*mut BpfProgram);
type Close = unsafe extern "C" fn(Handle);

/// `struct bpf_program` of `pcap/bpf.h`
#[repr(C)]
struct BpfProgram {
    len: c_uint,
    instructions: *const BpfInstruction,
}

/// `struct bpf_insn` of `pcap/bpf.h`
#[repr(C)]
struct BpfInstruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

pub(super) fn compile(expression: &str) -> Result<Vec<Instruction>, FilterError> {
    let text =
        CString::new(expression).map_err(|_| misunderstood(expression, "it holds a zero byte"))?;
    let library = load(&FILES)?;
    // A panic elsewhere leaves nothing behind that matters.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the types are those of libpcap's headers. The functions are called
    // in this function only, while the library is loaded.
    let (open_dead, compile, get_err, free_code, close) = unsafe {
        (
            *library.get::<OpenDead>("pcap_open_dead").map_err(broken)?,
            *library.get::<Compile>("pcap_compile").map_err(broken)?,
            *library.get::<GetErr>("pcap_geterr").map_err(broken)?,
            *library.get::<FreeCode>("pcap_freecode").map_err(broken)?,
            *library.get::<Close>("pcap_close").map_err(broken)?,
        )
    };
    // SAFETY: it takes numbers only.
    let handle = unsafe { open_dead(DLT_RAW, SNAPLEN) };
    if handle.is_null() {
        return Err(no_libpcap("which has no memory".to_owned()));
    }
    let mut program = BpfProgram {
        len: 0,
        instructions: ptr::null(),
    };
    // SAFETY: the handle is open, the text ends with a zero byte, and all three
    // outlive the call. Nobody else here is in this function meanwhile.
    let rc = unsafe { compile(handle, &mut program, text.as_ptr(), 1, NETMASK_UNKNOWN) };
    let result = if rc == 0 {
        // SAFETY: libpcap has filled the program: `len` instructions, which live
        // until they are freed below.
        let instructions =
            unsafe { slice::from_raw_parts(program.instructions, program.len as usize) };
        let copy = instructions
            .iter()
            .map(|&BpfInstruction { code, jt, jf, k }| Instruction { code, jt, jf, k })
            .collect();
        // SAFETY: it was filled, and is not used again.
        unsafe { free_code(&mut program) };
        Ok(copy)
    } else {
        // SAFETY: the handle is open; the text lives in it and ends with a zero
        // byte.
        let reason = unsafe { CStr::from_ptr(get_err(handle)) };
        Err(misunderstood(expression, reason.to_string_lossy()))
    };
    // SAFETY: it is open, and not used again.
    unsafe { close(handle) };
    result
}

fn load(files: &[&str]) -> Result<Library, FilterError> {
    let mut reason = String::new();
    for file in files {
        // SAFETY: libpcap has no constructors that do anything.
        match unsafe { Library::new(*file) } {
            Ok(library) => return Ok(library),
            Err(error) => reason = format!("which cannot be loaded ({})", words(&error)),
        }
    }
    Err(no_libpcap(reason))
}

fn broken(error: libloading::Error) -> FilterError {
    no_libpcap(format!("and this one is none ({})", words(&error)))
}

/// The dynamic linker's own words.
fn words(error: &libloading::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn no_libpcap(reason: String) -> FilterError {
    FilterError::NoCompiler {
        needed: "libpcap",
        package: "libpcap0.8",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_said_to_be_missing() {
        let error = load(&["libpcap.so.0.0"]).unwrap_err().to_string();
        assert!(
            error.contains("needs libpcap, which cannot be loaded (libpcap.so.0.0: ")
                && error.contains("apt install libpcap0.8"),
            "{error}"
        );
    }
}
