import { describe, expect, test } from 'vitest';
import { attackTag } from '../src/lib/attack';
import { marksOf, pretty, tokens } from '../src/lib/json';
import { sinkHealth, sourceHealth } from '../src/lib/status';
import { visible } from '../src/lib/text';

describe('values from logs', () => {
  test('show what hides in them', () => {
    expect(visible('safe\u202egpj.exe')).toBe('safe\\u202egpj.exe');
    expect(visible('a\u200bb\nc\u0000')).toBe('a\\u200bb\\nc\\u0000');
    expect(visible('Zoë 漢字 ünï')).toBe('Zoë 漢字 ünï');
    expect(visible({ a: [1] })).toBe('{"a":[1]}');
  });

  test('are cut into tokens that give the text back', () => {
    const event = { name: 'x: "y" 12 true', list: [1, -2.5e3, null, false], 'a\u202eb': '\u202e', empty: {} };
    const text = pretty(event);
    expect(text).not.toContain('\u202e');
    const lines = tokens(text, new Set());
    expect(lines.map((line) => line.map((token) => token.text).join('')).join('\n')).toBe(text);
    expect(lines[1]?.map((token) => token.kind)).toEqual(['plain', 'name', 'plain', 'plain', 'string', 'plain']);
  });

  test('that the alert names are marked in its evidence', () => {
    const marks = marksOf({ key: { arn: 'role "x"', count: 7 }, network: { ip: '192.0.2.1' } });
    const marked = tokens(pretty({ who: 'role "x"', from: '192.0.2.1', n: 7, other: 'no' }), marks)
      .flat()
      .filter((token) => token.marked);
    expect(marked.map((token) => token.text)).toEqual(['"role \\"x\\""', '"192.0.2.1"', '7']);
  });
});

describe('ATT&CK tags', () => {
  test.each([
    ['attack.t1552', 'T1552', 'https://attack.mitre.org/techniques/T1552/'],
    ['attack.t1562.008', 'T1562.008', 'https://attack.mitre.org/techniques/T1562/008/'],
    ['attack.defense-evasion', 'defense evasion', 'https://attack.mitre.org/tactics/TA0005/'],
    ['attack.initial_access', 'initial access', 'https://attack.mitre.org/tactics/TA0001/'],
    ['attack.g0016', 'G0016', 'https://attack.mitre.org/groups/G0016/'],
    ['attack.t1552/../../evil', 't1552/../../evil', undefined],
    ['cve.2021-44228', 'cve.2021-44228', undefined],
  ])('%s', (tag, text, link) => expect(attackTag(tag)).toEqual(link ? { text, link } : { text }));
});

describe('the health of a part', () => {
  test('is bad as soon as an alert was given up', () => {
    const sink = { name: 'soc', type: 'webhook', queued: 0, dead: 0, state: 'ok' };
    expect(sinkHealth(sink)).toBe('good');
    expect(sinkHealth({ ...sink, dead: 1 })).toBe('bad');
  });

  test('asks for attention when its word is unknown', () => {
    const source = { name: 's', kind: 'json', type: 'file', events: 0, rejects: 0, state: 'wedged' };
    expect(sourceHealth(source)).toBe('warning');
  });
});
