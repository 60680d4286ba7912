#!/usr/bin/env node
/** The program `spine`: reads the command line, and turns whatever went wrong into one line and an exit code. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { SpineError } from '../index.ts'
import { CommandError } from './command-error.ts'
import { demoCommand } from './commands/demo.ts'
import { EXIT_CODES, exitCodesHelp } from './exit-codes.ts'
import { UsageError } from './usage-error.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('spine')
  .description('Event Spine: one ordered, durable log between AI agents.')
  .version(version)
  .exitOverride()
  .showHelpAfterError('Run with --help to see what is possible.')
  .addHelpText('after', exitCodesHelp)
program.addCommand(demoCommand().copyInheritedSettings(program).addHelpText('after', exitCodesHelp))

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  // Commander has already printed its line, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.clean : EXIT_CODES.wrongUsage
  if (error instanceof UsageError) return say(error.message, EXIT_CODES.wrongUsage)
  if (error instanceof CommandError) return say(error.message, EXIT_CODES.checkFailed)
  if (SpineError.is(error)) return say(`${error.code}: ${error.message}`, EXIT_CODES.checkFailed)
  return say(error instanceof Error ? (error.stack ?? error.message) : String(error), EXIT_CODES.checkFailed)
}

function say(text: string, code: number): number {
  process.stderr.write(`spine: ${text}\n`)
  return code
}
