// From the configuration to the one source that it names.

import { createFolderSource } from '../sources/folder/folder.js';
import { createKubernetesSource } from '../sources/kubernetes/source.js';
import type { Source } from '../sources/source.js';
import type { Configuration } from './config.js';

export interface SourceChoice {
  /** Keep what the folder source allocates; false leaves the state file alone (compile, dump). */
  readonly keepState: boolean;
}

/** The folder, or the API server: a kubeconfig where one is given, else the service account of the pod that this is. */
export function createSource(config: Configuration, { keepState }: SourceChoice): Source {
  if (config.folder !== '')
    return createFolderSource({
      directory: config.folder,
      nodeName: config.nodeName,
      stateFile: keepState ? config.stateFile : undefined,
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
