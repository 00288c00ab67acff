// Where this page finds its Big Peer: /config.json, then the address bar. Without either it runs with nearby peers alone.

export interface PageConfig {
  database: string;
  /** Namespace of the stored replica; two tabs with different ones are two peers. */
  directory: string | undefined;
  /** Absent in peers-only mode. */
  bigPeer: { url: string; token: string } | undefined;
}

interface ConfigFile {
  bigPeerUrl?: unknown;
  database?: unknown;
  token?: unknown;
}

export async function readConfig(address: URL): Promise<PageConfig> {
  const file = await readConfigFile();
  const parameters = address.searchParams;
  const url = typeof file.bigPeerUrl === 'string' && file.bigPeerUrl !== '' ? file.bigPeerUrl : undefined;
  const peersOnly = parameters.get('mode') === 'peers' || url === undefined;
  return {
    database: parameters.get('db') || (typeof file.database === 'string' && file.database) || 'shoal-demo',
    directory: parameters.get('dir') || undefined,
    bigPeer: peersOnly || url === undefined ? undefined : { url, token: typeof file.token === 'string' ? file.token : '' },
  };
}

/** An absent, unreachable or damaged file is a page without a Big Peer, not an error. */
async function readConfigFile(): Promise<ConfigFile> {
  try {
    const response = await fetch('config.json', { cache: 'no-store' });
    if (!response.ok) return {};
    const parsed: unknown = await response.json();
    return typeof parsed === 'object' && parsed !== null ? (parsed as ConfigFile) : {};
  } catch (error) {
    console.info('no config.json, so no Big Peer:', error);
    return {};
  }
}
