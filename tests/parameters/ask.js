// As ask.php does, for the query parsers of Express (qs) and of node itself.
const [, , parser, name, value] = process.argv;
const qs = require('qs');
const parse = parser === 'qs'
  ? (query) => qs.parse(query, { allowPrototypes: true })
  : require('querystring').parse;
const lines = require('fs').readFileSync(0, 'latin1').trim().split('\n');
for (const line of lines) {
  const read = parse(Buffer.from(line, 'hex').toString('latin1'));
  const sent = Object.prototype.hasOwnProperty.call(read, name) ? read[name] : undefined;
  const meant = typeof sent === 'object' ||
    typeof sent === 'string' && sent.trim().toLowerCase() === value;
  console.log(sent === undefined ? 0 : meant ? 2 : 1);
}
