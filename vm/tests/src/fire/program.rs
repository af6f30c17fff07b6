//! Programs of classic BPF: valid ones, almost valid ones, and noise.

use fastrand::Rng;

/// `struct sock_filter`: code, jt, jf, k.
#[derive(Clone, Copy)]
struct Instruction(u16, u8, u8, u32);

// linux/bpf_common.h and linux/filter.h.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const MSH: u16 = 0xa0;
/// The operand is X.
const X: u16 = 8;
const DIV: u16 = 0x30;
const LSH: u16 = 0x60;
const NEG: u16 = 0x80;
const MOD: u16 = 0x90;
const XOR: u16 = 0xa0;
const RET_A: u16 = 0x10;
const TXA: u16 = 0x80;
const MEMWORDS: u32 = 16;
/// From here on offsets are what the kernel knows of a packet (`SKF_AD_OFF`), or
/// counted from its headers (`SKF_NET_OFF`, `SKF_LL_OFF`).
const SPECIAL: [u32; 3] = [
    -0x1000_i32 as u32,
    -0x10_0000_i32 as u32,
    -0x20_0000_i32 as u32,
];
/// The kernel takes no longer program.
const MAX: usize = 4096;

/// A program as an attribute's value. Two in three are such as the kernel takes.
pub fn program(rng: &mut Rng) -> Vec<u8> {
    let mut program = valid(rng);
    match rng.u32(..6) {
        0 => spoil(rng, &mut program),
        1 => return noise(rng),
        _ => {}
    }
    let mut bytes: Vec<u8> = program.iter().flat_map(bytes).collect();
    if rng.u32(..50) == 0 {
        bytes.truncate(rng.usize(..bytes.len()));
    }
    bytes
}

fn bytes(Instruction(code, jt, jf, k): &Instruction) -> Vec<u8> {
    let (code, k) = (code.to_ne_bytes(), k.to_ne_bytes());
    [&code[..], &[*jt, *jf], &k].concat()
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0; rng.usize(..200)];
    rng.fill(&mut bytes);
    bytes
}

fn valid(rng: &mut Rng) -> Vec<Instruction> {
    let length = match rng.u32(..100) {
        0 => MAX,
        1..10 => rng.usize(1..300),
        _ => rng.usize(1..20),
    };
    // Memory is written before it is read, on every way there.
    let words = rng.u32(..MEMWORDS).min(length as u32 - 1);
    let mut program: Vec<_> = (0..words)
        .map(|word| Instruction(if rng.bool() { ST } else { STX }, 0, 0, word))
        .collect();
    let written: Vec<u32> = program.iter().map(|instruction| instruction.3).collect();
    while program.len() + 1 < length {
        let left = length - program.len() - 1;
        program.push(any(rng, left, &written));
    }
    let verdict = [RET_A, 0][rng.usize(..2)];
    program.push(Instruction(RET | verdict, 0, 0, interesting(rng)));
    program
}

/// Any instruction with `left` others behind it.
fn any(rng: &mut Rng, left: usize, written: &[u32]) -> Instruction {
    let size = [0x00, 0x08, 0x10][rng.usize(..3)];
    let source = if rng.bool() { X } else { 0 };
    let ahead = |rng: &mut Rng| rng.usize(..left.min(256)) as u8;
    let (code, k) = match rng.u32(..16) {
        0 | 1 => (LD | ABS | size, offset(rng)),
        2 | 3 => (LD | IND | size, offset(rng)),
        4 => (LD | IMM, rng.u32(..)),
        5 => (LD | LEN, 0),
        6 => (LDX | IMM, interesting(rng)),
        7 => (LDX | MSH | 0x10, rng.u32(..64)),
        8 => (LDX | LEN, 0),
        9 => (MISC | [TXA, 0][rng.usize(..2)], 0),
        10 | 11 => match rng.choice(written) {
            Some(word) => ([LD | MEM, LDX | MEM, ST, STX][rng.usize(..4)], *word),
            None => (LD | IMM, 1),
        },
        12 => return Instruction(JMP, 0, 0, ahead(rng).into()),
        13 | 14 => {
            let test = [0x10, 0x20, 0x30, 0x40][rng.usize(..4)];
            let (jt, jf) = (ahead(rng), ahead(rng));
            return Instruction(JMP | test | source, jt, jf, interesting(rng));
        }
        _ => {
            let operation = rng.u16(..=XOR >> 4) << 4;
            let k = match operation {
                DIV | MOD => rng.u32(1..),
                op if op == LSH || op == LSH + 0x10 => rng.u32(..32),
                _ => interesting(rng),
            };
            let source = if operation == NEG { 0 } else { source };
            (ALU | operation | source, k)
        }
    };
    Instruction(code, 0, 0, k)
}

fn offset(rng: &mut Rng) -> u32 {
    match rng.u32(..4) {
        // Of what the kernel knows there are 16 words, and it knows when one is not.
        0 => SPECIAL[rng.usize(..3)].wrapping_add(rng.u32(..16) * 4),
        1 => interesting(rng),
        _ => rng.u32(..128),
    }
}

fn interesting(rng: &mut Rng) -> u32 {
    match rng.u32(..4) {
        0 => 0,
        1 => 1 << rng.u32(..32),
        2 => rng.u32(..256),
        _ => rng.u32(..),
    }
}

/// Makes one mistake.
fn spoil(rng: &mut Rng, program: &mut Vec<Instruction>) {
    let nth = rng.usize(..program.len());
    let left = (program.len() - nth) as u32;
    program[nth] = match rng.u32(..8) {
        0 => Instruction(JMP, 0, 0, left - 1 + rng.u32(..3)),
        1 => Instruction(JMP | 0x10, 0, left.min(255) as u8, 0),
        2 => Instruction(ST, 0, 0, MEMWORDS + rng.u32(..2)),
        3 => Instruction(LD | MEM, 0, 0, rng.u32(..=MEMWORDS)),
        4 => Instruction(ALU | [DIV, MOD][rng.usize(..2)], 0, 0, 0),
        5 => Instruction(ALU | LSH, 0, 0, 31 + rng.u32(..3)),
        6 => Instruction(rng.u16(..), rng.u8(..), rng.u8(..), interesting(rng)),
        // No end.
        _ => {
            program.push(Instruction(LD | IMM, 0, 0, 0));
            return;
        }
    };
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, SockFilter, Socket, Type};

    use super::*;

    #[test]
    fn the_kernel_takes_what_is_valid_and_no_more() {
        let mut rng = Rng::with_seed(1);
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).expect("socket");
        let takes = |program: &[Instruction]| {
            let program: Vec<_> = program
                .iter()
                .map(|Instruction(code, jt, jf, k)| SockFilter::new(*code, *jt, *jf, *k))
                .collect();
            socket.attach_filter(&program).is_ok()
        };
        let mut refused = 0;
        for _ in 0..500 {
            let mut program = valid(&mut rng);
            // The longest are more than one user's memory for options.
            program.drain(..program.len().saturating_sub(500));
            if program.len() == 500 {
                continue;
            }
            assert!(takes(&program));
            spoil(&mut rng, &mut program);
            refused += u32::from(!takes(&program));
        }
        assert!(refused > 250, "{refused}");
    }
}
