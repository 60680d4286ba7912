// The tarball that a registry would get: made by `npm pack`, as it is published, and looked at file by file.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run-program.mjs'

/** The conversations are what `spine demo` plays: the one thing outside dist/ that the program reads. */
const WELCOME =
  /^(?:dist\/.+\.(?:js|d\.ts)|demo\/(?:conversations\.jsonl|README\.md)|(?:README|CHANGELOG)\.md|LICENSE|package\.json)$/
const NEVER = /\.test\.|(?:^|\/)(?:test|fixtures|node_modules)\//
/** About three times what it was when this was written: who goes beyond has packed something by mistake, or says here why not. */
const UNPACKED_BYTES_MAX = 2_500_000

/** @returns where it lies, and what npm says of it. prepack builds dist/ anew: no file of an older build is in it. */
export function packPackage(root, folder) {
  const packed = run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root, seconds: 120 })
  if (packed.status !== 0) throw new Error(`npm pack ended with ${packed.status}:\n${packed.stdout}${packed.stderr}`)
  // What the build prints comes before the JSON.
  const said = JSON.parse(packed.stdout.slice(packed.stdout.search(/^[[{]/m)))
  const [about] = Array.isArray(said) ? said : Object.values(said)
  return {
    path: join(folder, about.filename),
    packedBytes: about.size,
    unpackedBytes: about.unpackedSize,
    files: about.files,
  }
}

export function describePackage({ packedBytes, unpackedBytes, files }) {
  const kilobytes = (bytes) => `${(bytes / 1000).toFixed(0)} kB`
  return `${files.length} files, ${kilobytes(packedBytes)} packed, ${kilobytes(unpackedBytes)} unpacked`
}

/** @returns what is wrong with the contents, a line each */
export function findStrayFiles(paths, unpackedBytes) {
  const stray = paths
    .filter((path) => !WELCOME.test(path) || NEVER.test(path))
    .map((path) => `${path} has no business in it`)
  const missing = ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'dist/index.js', 'dist/index.d.ts']
    .filter((path) => !paths.includes(path))
    .map((path) => `${path} is missing`)
  const large =
    unpackedBytes > UNPACKED_BYTES_MAX ? [`it has ${unpackedBytes} bytes, more than ${UNPACKED_BYTES_MAX}`] : []
  return [...stray, ...missing, ...large]
}

/** A debugger follows these comments into nothing when the map, or the source that it names, is not packed. */
export function findDanglingMaps(paths, readText) {
  return paths
    .filter((path) => /\.(?:js|ts)$/.test(path))
    .filter((path) => /^\/\/# sourceMappingURL=/m.test(readText(path)))
    .map((path) => `${path} points to a source map`)
}

/** @returns what package.json promises and the tarball does not hold */
export function findBrokenPromises(manifest, paths) {
  const targets = [
    ...Object.values(manifest.bin),
    ...Object.values(manifest.exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry))),
  ]
  return targets
    .map((target) => target.replace(/^\.\//, ''))
    .filter((path) => !paths.includes(path))
    .map((path) => `package.json names ${path}, which is not packed`)
}

export const readManifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
