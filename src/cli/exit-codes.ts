/** What the shell is told. Scripts rely on these numbers. */
export const EXIT_CODES = { clean: 0, checkFailed: 1, wrongUsage: 2, interrupted: 130 } as const

export const exitCodesHelp = `
Exit codes:
  ${EXIT_CODES.clean}    clean
  ${EXIT_CODES.checkFailed}    a check failed, or the work could not be done
  ${EXIT_CODES.wrongUsage}    wrong usage: an option, or a file that it names
  ${EXIT_CODES.interrupted}  stopped with Ctrl-C`
