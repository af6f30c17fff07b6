//! libpcap, as tcpdump has it: `tcpdump -ddd` prints a program as numbers.

use std::process::{Command, Stdio};

use icmptap_proto::Instruction;

use super::{FilterError, misunderstood};

#[cfg_attr(
    not(target_feature = "crt-static"),
    expect(dead_code, reason = "tested only")
)]
pub(super) fn compile(expression: &str) -> Result<Vec<Instruction>, FilterError> {
    if expression.contains('\0') {
        return Err(misunderstood(expression, "it holds a zero byte"));
    }
    let output = Command::new("tcpdump")
        .args(["-ddd", "-y", "RAW", "-s", "65535", "--", expression])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| no_tcpdump(format!("which cannot be run ({error})")))?;
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if !output.status.success() {
        return Err(misunderstood(expression, reason(&stderr)));
    }
    parse(&stdout).ok_or_else(|| no_tcpdump(format!("which printed no program: {stdout:?}")))
}

/// How many instructions, and then each as four numbers.
fn parse(text: &str) -> Option<Vec<Instruction>> {
    let mut lines = text.lines();
    let count: usize = lines.next()?.trim().parse().ok()?;
    let instructions: Vec<Instruction> = lines.map(instruction).collect::<Option<_>>()?;
    (instructions.len() == count).then_some(instructions)
}

fn instruction(line: &str) -> Option<Instruction> {
    let mut words = line.split_whitespace();
    let instruction = Instruction {
        code: words.next()?.parse().ok()?,
        jt: words.next()?.parse().ok()?,
        jf: words.next()?.parse().ok()?,
        k: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(instruction)
}

/// The last line is the error; warnings come before it.
fn reason(stderr: &str) -> &str {
    let last = stderr.trim_end().lines().last().unwrap_or("tcpdump failed");
    last.strip_prefix("tcpdump: ").unwrap_or(last)
}

fn no_tcpdump(reason: String) -> FilterError {
    FilterError::NoCompiler {
        needed: "tcpdump",
        package: "tcpdump",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tcpdump_prints_is_a_program() {
        let program = parse("2\n48 0 0 9\n6 1 2 4294967295\n").unwrap();
        let expected = [(48, 0, 0, 9), (6, 1, 2, u32::MAX)];
        assert_eq!(
            program,
            expected.map(|(code, jt, jf, k)| Instruction { code, jt, jf, k })
        );
        for bad in [
            "",
            "2\n48 0 0 9\n",
            "1\n48 0 0\n",
            "1\n48 0 0 9 9\n",
            "1\n48 0 256 9\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn its_complaint_is_the_last_line() {
        let stderr = "Warning: x\ntcpdump: can't parse filter expression: syntax error\n";
        assert_eq!(
            reason(stderr),
            "can't parse filter expression: syntax error"
        );
        assert_eq!(reason(""), "tcpdump failed");
    }
}
