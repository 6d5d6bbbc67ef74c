/** Names of a node's virtio serial ports: the agent's, and the one that node-init copies the node's logs to. */
export const AGENT_PORT = "clusterlock.control";
export const LOG_PORT = "clusterlock.log";
