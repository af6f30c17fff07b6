//! Instructions of the kernel's BPF machine (`linux/bpf.h`), and jumps to labels.
//!
//! The programs are a few dozen instructions: with a compiler for them, everybody who
//! builds this workspace would need it.

use std::collections::HashMap;

/// A register: `R1` to `R5` are a call's arguments and gone after it, `R0` is its
/// result, `R6` to `R9` stay, `R10` is the stack's end.
#[derive(Clone, Copy)]
#[repr(u8)]
#[allow(dead_code, reason = "there are so many")]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// Of what is loaded and stored.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Size {
    Word = 0x00,
    Byte = 0x10,
    Double = 0x18,
}

/// Without signs.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Condition {
    Equal = 0x10,
    Greater = 0x20,
    NotEqual = 0x50,
    Less = 0xa0,
    LessOrEqual = 0xb0,
}

/// A program in the making.
#[derive(Default)]
pub(super) struct Code {
    instructions: Vec<u64>,
    labels: HashMap<&'static str, usize>,
    /// Where they are, and where they go.
    jumps: Vec<(usize, &'static str)>,
}

impl Code {
    /// The finished program.
    pub(super) fn finish(mut self) -> Vec<u64> {
        for (at, label) in self.jumps {
            let target = self.labels[label];
            let distance = u16::try_from(target - at - 1).expect("a short way on");
            self.instructions[at] |= u64::from(distance) << 16;
        }
        self.instructions
    }

    /// What jumps to `name` goes on here.
    pub(super) fn label(&mut self, name: &'static str) {
        self.labels.insert(name, self.instructions.len());
    }

    /// `to = *(from + at)`
    pub(super) fn load(&mut self, size: Size, to: Register, from: Register, at: i16) {
        self.add(0x61 | size as u8, to, from, at, 0);
    }

    /// `*(to + at) = from`
    pub(super) fn store(&mut self, size: Size, to: Register, at: i16, from: Register) {
        self.add(0x63 | size as u8, to, from, at, 0);
    }

    /// `*(to + at) = value`
    pub(super) fn store_value(&mut self, size: Size, to: Register, at: i16, value: i32) {
        self.add(0x62 | size as u8, to, Register::R0, at, value);
    }

    /// `to = from`
    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.add(0xbf, to, from, 0, 0);
    }

    /// `to = value`
    pub(super) fn set(&mut self, to: Register, value: i32) {
        self.add(0xb7, to, Register::R0, 0, value);
    }

    /// `to = the map`
    pub(super) fn set_map(&mut self, to: Register, map: i32) {
        // BPF_PSEUDO_MAP_FD, in two slots.
        self.add(0x18, to, Register::R1, 0, map);
        self.add(0, Register::R0, Register::R0, 0, 0);
    }

    /// `to += value`
    pub(super) fn increase(&mut self, to: Register, value: i32) {
        self.add(0x07, to, Register::R0, 0, value);
    }

    /// `*(to + 0) += from`, all 64 bits of it at once
    pub(super) fn count(&mut self, to: Register, from: Register) {
        self.add(0xdb, to, from, 0, 0);
    }

    /// Goes on at the label, if.
    pub(super) fn jump_if(
        &mut self,
        one: Register,
        condition: Condition,
        value: i32,
        label: &'static str,
    ) {
        self.jumps.push((self.instructions.len(), label));
        self.add(0x05 | condition as u8, one, Register::R0, 0, value);
    }

    /// The same with two registers.
    pub(super) fn jump_if_it(
        &mut self,
        one: Register,
        condition: Condition,
        other: Register,
        label: &'static str,
    ) {
        self.jumps.push((self.instructions.len(), label));
        self.add(0x0d | condition as u8, one, other, 0, 0);
    }

    /// Goes on at the label.
    pub(super) fn jump(&mut self, label: &'static str) {
        self.jumps.push((self.instructions.len(), label));
        self.add(0x05, Register::R0, Register::R0, 0, 0);
    }

    /// Calls a helper (`BPF_FUNC_*`).
    pub(super) fn call(&mut self, helper: i32) {
        self.add(0x85, Register::R0, Register::R0, 0, helper);
    }

    /// Calls a function of the kernel, by its number in the kernel's BTF.
    pub(super) fn call_kernel(&mut self, function: u32) {
        // BPF_PSEUDO_KFUNC_CALL
        let function = function.cast_signed();
        self.add(0x85, Register::R0, Register::R2, 0, function);
    }

    /// Returns `R0`.
    pub(super) fn exit(&mut self) {
        self.add(0x95, Register::R0, Register::R0, 0, 0);
    }

    fn add(&mut self, operation: u8, to: Register, from: Register, at: i16, value: i32) {
        let registers = u64::from(from as u8) << 4 | u64::from(to as u8);
        let value = u64::from(value.cast_unsigned());
        let at = u64::from(at.cast_unsigned());
        self.instructions
            .push(value << 32 | at << 16 | registers << 8 | u64::from(operation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_as_the_kernel_has_it() {
        let mut code = Code::default();
        code.load(Size::Word, Register::R2, Register::R1, 16);
        code.jump_if(Register::R2, Condition::NotEqual, -1, "end");
        code.store(Size::Double, Register::R10, -8, Register::R2);
        code.label("end");
        code.set(Register::R0, 1);
        code.exit();
        let bytes: Vec<[u8; 8]> = code.finish().into_iter().map(u64::to_ne_bytes).collect();
        assert_eq!(
            bytes,
            [
                [0x61, 0x12, 16, 0, 0, 0, 0, 0],
                [0x55, 0x02, 1, 0, 0xff, 0xff, 0xff, 0xff],
                [0x7b, 0x2a, 0xf8, 0xff, 0, 0, 0, 0],
                [0xb7, 0, 0, 0, 1, 0, 0, 0],
                [0x95, 0, 0, 0, 0, 0, 0, 0],
            ]
        );
    }
}
