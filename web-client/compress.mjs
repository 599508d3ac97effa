// `node compress.mjs DIR`: writes a Brotli twin (`x.js` → `x.js.br`) beside every text and wasm file below DIR, and
// prints what a browser downloads. The binaries embed both and hand out the twin to whoever accepts it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const COMPRESSED = new Set(['.html', '.js', '.css', '.wasm', '.svg', '.json']);
const QUALITY = constants.BROTLI_MAX_QUALITY;

const root = process.argv[2];
if (root === undefined) {
  console.error('usage: node compress.mjs DIR');
  process.exit(1);
}

for (const page of readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
  const files = readdirSync(join(root, page.name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && COMPRESSED.has(extname(entry.name)))
    .map((entry) => compress(join(entry.parentPath ?? entry.path, entry.name)));
  const [raw, small] = [total(files, 'raw'), total(files, 'small')];
  console.log(`${page.name}: ${files.length} files, ${kib(raw)} KiB, ${kib(small)} KiB compressed`);
}

function compress(path) {
  const content = readFileSync(path);
  const twin = brotliCompressSync(content, {
    params: { [constants.BROTLI_PARAM_QUALITY]: QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
  });
  writeFileSync(`${path}.br`, twin);
  return { raw: content.length, small: twin.length };
}

function total(files, key) {
  return files.reduce((sum, file) => sum + file[key], 0);
}

function kib(bytes) {
  return (bytes / 1024).toFixed(1);
}
