// ATT&CK tags as Sigma writes them, and where MITRE describes them.

const home = 'https://attack.mitre.org';

const tactics: Record<string, string> = {
  reconnaissance: 'TA0043',
  'resource-development': 'TA0042',
  'initial-access': 'TA0001',
  execution: 'TA0002',
  persistence: 'TA0003',
  'privilege-escalation': 'TA0004',
  'defense-evasion': 'TA0005',
  'credential-access': 'TA0006',
  discovery: 'TA0007',
  'lateral-movement': 'TA0008',
  collection: 'TA0009',
  'command-and-control': 'TA0011',
  exfiltration: 'TA0010',
  impact: 'TA0040',
};

export interface Tag {
  text: string;
  /** Absent where we know no page; a tag never becomes an address unless it has the exact form. */
  link?: string;
}

export function attackTag(tag: string): Tag {
  const name = /^attack\.(.+)$/i.exec(tag)?.[1]?.toLowerCase();
  if (!name) return { text: tag };
  const technique = /^t(\d{4})(?:\.(\d{3}))?$/.exec(name);
  if (technique) {
    const [, main, sub] = technique;
    const text = `T${main}${sub ? `.${sub}` : ''}`;
    return { text, link: `${home}/techniques/T${main}/${sub ? `${sub}/` : ''}` };
  }
  if (/^g\d{4}$/.test(name)) return { text: name.toUpperCase(), link: `${home}/groups/${name.toUpperCase()}/` };
  if (/^s\d{4}$/.test(name)) return { text: name.toUpperCase(), link: `${home}/software/${name.toUpperCase()}/` };
  // Older Sigma rules write underscores.
  const tactic = name.replaceAll('_', '-');
  const id = tactics[tactic];
  const text = tactic.replaceAll('-', ' ');
  return id ? { text, link: `${home}/tactics/${id}/` } : { text };
}
