// From the configuration to the one source that it names.

import { createFolderSource } from '../sources/folder/folder.js';
import { createKubernetesSource } from '../sources/kubernetes/source.js';
import type { Source } from '../sources/source.js';
import type { Configuration } from './config.js';

export interface SourceChoice {
  /** What becomes of the folder source's state file: kept (run), only read (dump), or not looked at (compile). */
  readonly state: 'keep' | 'read' | 'ignore';
}

/** The folder, or the API server: a kubeconfig where one is given, else the service account of the pod that this is. */
export function createSource(config: Configuration, { state }: SourceChoice): Source {
  if (config.folder !== '')
    return createFolderSource({
      directory: config.folder,
      nodeName: config.nodeName,
      stateFile: state === 'ignore' ? undefined : config.stateFile,
      readOnly: state === 'read',
      serviceRanges: config.serviceCIDRs,
      nodePortRange: config.nodePortRange,
    });
  return createKubernetesSource({
    nodeName: config.nodeName,
    ...(config.kubeconfig === '' ? {} : { kubeconfig: config.kubeconfig }),
    ...(config.context === '' ? {} : { context: config.context }),
    apiServers: config.apiServers,
  });
}
