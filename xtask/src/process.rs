//! Running other programs, and saying which one failed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The cargo that runs us, so that a toolchain chosen by the caller stays chosen.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end with the terminal's own output; an exit code other than 0 is an error that names the command.
pub fn run(command: &mut Command) -> Result<()> {
    match code(command)? {
        0 => Ok(()),
        code => bail!("`{}` exited with {code}", line(command)),
    }
}

/// Runs to the end with the terminal's own output and answers the exit code; death by signal n is 128 + n, as in a shell.
pub fn code(command: &mut Command) -> Result<u8> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    Ok(exit_code(status))
}

/// The same, and what it wrote to its standard output, line by line as it came.
pub fn heard(command: &mut Command) -> Result<(u8, String)> {
    use std::io::{BufRead, BufReader};
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{}`", line(command)))?;
    let mut text = String::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line?;
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
    Ok((exit_code(child.wait()?), text))
}

/// Becomes the command: same process id, so that its exit code, and a kill of the process somebody recorded, are the command's own.
pub fn exec(command: &mut Command) -> Result<u8> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", line(command)))
}

/// Standard output of a command that must succeed; its standard error goes to the terminal.
pub fn output(command: &mut Command) -> Result<String> {
    let (code, text) = output_and_code(command)?;
    if code != 0 {
        bail!("`{}` exited with {code}", line(command));
    }
    Ok(text)
}

/// Standard output and exit code, whatever they are.
pub fn output_and_code(command: &mut Command) -> Result<(u8, String)> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{}`", line(command)))?;
    Ok((exit_code(output.status), String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().expect("a process that did not exit was ended by a signal"));
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn codes_are_handed_on_and_a_signal_reads_as_in_a_shell() {
        assert_eq!(code(&mut shell("exit 10")).unwrap(), 10);
        assert_eq!(code(&mut shell("kill -9 $$")).unwrap(), 137);
    }

    #[test]
    fn what_was_heard_is_all_that_was_said() {
        assert_eq!(heard(&mut shell("echo one; echo two; exit 3")).unwrap(), (3, "one\ntwo\n".to_owned()));
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(&mut shell("exit 3")).expect_err("exit 3");
        assert_eq!(error.to_string(), "`sh -c exit 3` exited with 3");
    }
}
