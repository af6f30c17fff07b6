//! Classic BPF, run here: for packets that no kernel sees again, such as those of a
//! capture. What an instruction does is written in `linux/filter.h` and bpf(4) of the BSDs.

use crate::types::{Instruction, Program};

/// Words of scratch memory (`BPF_MEMWORDS`).
const MEMORY: usize = 16;

/// Where a program reads the packet's type (`SKF_AD_OFF + SKF_AD_PKTTYPE`).
const PACKET_TYPE: u32 = 0xffff_f004;
/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u32 = 4;

// The classes, in the lowest three bits of an instruction's code (`linux/bpf_common.h`).
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;

impl Program {
    /// Whether the program takes a packet that starts with its network header, of which
    /// `packet` is what was kept, and which had `original_len` bytes. As in the kernel, a
    /// program that reads what is not there does not take the packet, and nor does one
    /// that divides by 0. A program that the kernel would refuse ends, and may take anything.
    ///
    /// `is_outgoing` says whether the packet leaves, for programs that ask; `None`: it is not
    /// known, or the packet is on its way through, and a program that asks does not take it.
    #[must_use]
    pub fn matches(&self, packet: &[u8], original_len: u32, is_outgoing: Option<bool>) -> bool {
        Machine {
            packet,
            original_len,
            is_outgoing,
            a: 0,
            x: 0,
            memory: [0; MEMORY],
        }
        .run(self.instructions())
        .unwrap_or(0)
            != 0
    }
}

struct Machine<'a> {
    packet: &'a [u8],
    original_len: u32,
    is_outgoing: Option<bool>,
    a: u32,
    x: u32,
    memory: [u32; MEMORY],
}

impl Machine<'_> {
    /// What it returns. `None`: it cannot go on.
    fn run(&mut self, instructions: &[Instruction]) -> Option<u32> {
        let mut at = 0;
        // It only goes forward, and so comes to an end.
        loop {
            let instruction = instructions.get(at)?;
            let Instruction { code, jt, jf, k } = *instruction;
            at += 1;
            match code & 0x07 {
                LD => self.a = self.load(code, k)?,
                LDX => self.x = self.load_index(code, k)?,
                ST => *self.memory.get_mut(k as usize)? = self.a,
                STX => *self.memory.get_mut(k as usize)? = self.x,
                ALU => self.a = self.compute(code, k)?,
                JMP => {
                    at = at.checked_add(match code {
                        0x05 => k as usize,
                        _ if self.is_true(code, k)? => jt.into(),
                        _ => jf.into(),
                    })?;
                }
                RET => {
                    return match code {
                        0x06 => Some(k),
                        0x16 => Some(self.a),
                        _ => None,
                    };
                }
                MISC => match code {
                    0x07 => self.x = self.a,
                    0x87 => self.a = self.x,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    fn load(&self, code: u16, k: u32) -> Option<u32> {
        let indexed = || self.x.checked_add(k);
        match code {
            0x00 => Some(k),
            // The kernel takes any size for it.
            0x20 | 0x28 | 0x30 if k == PACKET_TYPE => {
                self.is_outgoing.map(|is| if is { OUTGOING } else { 0 })
            }
            0x20 => self.bytes(k).map(u32::from_be_bytes),
            0x28 => self.bytes(k).map(|half| u16::from_be_bytes(half).into()),
            0x30 => self.bytes(k).map(|[byte]| byte.into()),
            0x40 => self.bytes(indexed()?).map(u32::from_be_bytes),
            0x48 => {
                let half = self.bytes(indexed()?)?;
                Some(u16::from_be_bytes(half).into())
            }
            0x50 => self.bytes(indexed()?).map(|[byte]| byte.into()),
            0x60 => self.memory.get(k as usize).copied(),
            0x80 => Some(self.original_len),
            _ => None,
        }
    }

    fn load_index(&self, code: u16, k: u32) -> Option<u32> {
        match code {
            0x01 => Some(k),
            0x61 => self.memory.get(k as usize).copied(),
            0x81 => Some(self.original_len),
            // The length of an IPv4 header.
            0xb1 => self.bytes(k).map(|[byte]| u32::from(byte & 15) * 4),
            _ => None,
        }
    }

    fn bytes<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.packet.get(at as usize..)?.first_chunk().copied()
    }

    /// The operand: the constant, or the index register if bit 3 is set.
    fn operand(&self, code: u16, k: u32) -> u32 {
        if code & 0x08 == 0 { k } else { self.x }
    }

    fn compute(&self, code: u16, k: u32) -> Option<u32> {
        let (a, b) = (self.a, self.operand(code, k));
        Some(match code & 0xf0 {
            0x00 => a.wrapping_add(b),
            0x10 => a.wrapping_sub(b),
            0x20 => a.wrapping_mul(b),
            0x30 => a.checked_div(b)?,
            0x40 => a | b,
            0x50 => a & b,
            // The kernel refuses a constant above 31, and of the register takes five bits.
            0x60 | 0x70 if code & 0x08 == 0 && k > 31 => return None,
            0x60 => a.wrapping_shl(b),
            0x70 => a.wrapping_shr(b),
            0x80 => a.wrapping_neg(),
            0x90 => a.checked_rem(b)?,
            0xa0 => a ^ b,
            _ => return None,
        })
    }

    fn is_true(&self, code: u16, k: u32) -> Option<bool> {
        let (a, b) = (self.a, self.operand(code, k));
        Some(match code & 0xf0 {
            0x10 => a == b,
            0x20 => a > b,
            0x30 => a >= b,
            0x40 => a & b != 0,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Program {
        let instructions =
            instructions
                .iter()
                .map(|&(code, jt, jf, k)| Instruction { code, jt, jf, k });
        instructions.collect::<Vec<_>>().try_into().unwrap()
    }

    /// What it returns for a packet of 4 bytes that had 100.
    fn returns(instructions: &[(u16, u8, u8, u32)]) -> Option<u32> {
        let mut machine = Machine {
            packet: &[0x45, 2, 3, 4],
            original_len: 100,
            is_outgoing: Some(true),
            a: 0,
            x: 0,
            memory: [0; MEMORY],
        };
        machine.run(program(instructions).instructions())
    }

    /// Loads 7 and -2 (as `a` and `x`), does this, and returns `a`.
    fn alu(code: u16, k: u32) -> Option<u32> {
        returns(&[
            (0x01, 0, 0, -2i32 as u32),
            (0x00, 0, 0, 7),
            (code, 0, 0, k),
            (0x16, 0, 0, 0),
        ])
    }

    #[test]
    fn loads() {
        let load = |code, k| returns(&[(0x01, 0, 0, 1), (code, 0, 0, k), (0x16, 0, 0, 0)]);
        assert_eq!(load(0x00, 9), Some(9));
        assert_eq!(load(0x20, 0), Some(0x4502_0304));
        assert_eq!(load(0x20, 1), None);
        assert_eq!(load(0x28, 2), Some(0x0304));
        assert_eq!(load(0x28, 3), None);
        assert_eq!(load(0x30, 3), Some(4));
        assert_eq!(load(0x30, u32::MAX), None);
        assert_eq!(load(0x50, 0), Some(2));
        assert_eq!(load(0x48, 1), Some(0x0304));
        assert_eq!(load(0x40, 0), None);
        assert_eq!(load(0x50, u32::MAX), None, "the sum is too large");
        assert_eq!(load(0x80, 0), Some(100));
        assert_eq!(load(0x28, PACKET_TYPE), Some(OUTGOING));
        assert_eq!(load(0xa0, 0), None, "no such instruction");
        let index = |code, k| returns(&[(code, 0, 0, k), (0x87, 0, 0, 0), (0x16, 0, 0, 0)]);
        assert_eq!(index(0xb1, 0), Some(20));
        assert_eq!(index(0x81, 0), Some(100));
        assert_eq!(index(0xb1, 4), None);
    }

    #[test]
    fn memory() {
        let through = |slot| {
            returns(&[
                (0x00, 0, 0, 5),
                (0x02, 0, 0, slot),
                (0x00, 0, 0, 0),
                (0x61, 0, 0, slot),
                (0x03, 0, 0, 0),
                (0x60, 0, 0, 0),
                (0x16, 0, 0, 0),
            ])
        };
        assert_eq!((through(3), through(15)), (Some(5), Some(5)));
        assert_eq!(through(16), None);
    }

    #[test]
    fn arithmetic() {
        for (code, k, expected) in [
            (0x04, u32::MAX, Some(6)),
            (0x0c, 0, Some(5)),
            (0x14, 8, Some(u32::MAX)),
            (0x24, 3, Some(21)),
            (0x34, 2, Some(3)),
            (0x34, 0, None),
            (0x44, 8, Some(15)),
            (0x54, 3, Some(3)),
            (0x64, 4, Some(112)),
            (0x64, 31, Some(0x8000_0000)),
            (0x64, 32, None),
            (0x74, 1, Some(3)),
            (0x74, 32, None),
            // By 30, as the index is -2.
            (0x6c, 0, Some(0xc000_0000)),
            (0x7c, 0, Some(0)),
            (0x84, 0, Some(-7i32 as u32)),
            (0x94, 4, Some(3)),
            (0x9c, 0, Some(7)),
            (0x94, 0, None),
            (0xa4, 2, Some(5)),
            (0xb4, 2, None),
        ] {
            assert_eq!(alu(code, k), expected, "{code:#x} {k}");
        }
    }

    #[test]
    fn jumps() {
        let jump = |code, k| {
            let is_true = returns(&[
                (0x01, 0, 0, 8),
                (0x00, 0, 0, 7),
                (code, 1, 0, k),
                (0x06, 0, 0, 10),
                (0x06, 0, 0, 20),
            ]);
            is_true.map(|value| value == 20)
        };
        assert_eq!((jump(0x15, 7), jump(0x15, 8)), (Some(true), Some(false)));
        assert_eq!((jump(0x25, 6), jump(0x25, 7)), (Some(true), Some(false)));
        assert_eq!((jump(0x35, 7), jump(0x35, 8)), (Some(true), Some(false)));
        assert_eq!((jump(0x45, 4), jump(0x45, 8)), (Some(true), Some(false)));
        assert_eq!(jump(0x1d, 0), Some(false), "the index is 8");
        assert_eq!(jump(0x05, 1), Some(true));
        assert_eq!(jump(0x05, 2), None, "beyond the end");
        assert_eq!(jump(0x05, u32::MAX), None);
        assert_eq!(jump(0x55, 1), None);
    }

    #[test]
    fn what_does_not_return_takes_nothing() {
        assert!(!program(&[]).matches(&[0; 8], 8, None));
        assert!(!program(&[(0x00, 0, 0, 1)]).matches(&[0; 8], 8, None));
        assert!(program(&[(0x06, 0, 0, 1)]).matches(&[], 0, None));
        let asks = program(&[(0x28, 0, 0, PACKET_TYPE), (0x06, 0, 0, 1)]);
        assert!(asks.matches(&[], 0, Some(false)) && !asks.matches(&[], 0, None));
        assert!(!program(&[(0x06, 0, 0, 0)]).matches(&[0; 8], 8, None));
    }
}
