// Compiles src/ and the TimelockController to build/contracts.json: for each contract its creation
// bytecode, the selectors of its functions by signature, and those of its errors by name. The hashes
// of the sources stand beside them, so that a test can tell an artefact that is out of date.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const solc = require("solc");
const { keccak256 } = require("js-sha3");

const SOURCES = path.join(__dirname, "src");
const MODULES = path.join(__dirname, "node_modules");
const OUTPUT = path.join(__dirname, "build", "contracts.json");
const TIMELOCK = "@openzeppelin/contracts/governance/TimelockController.sol";

const sources = { [TIMELOCK]: { content: fs.readFileSync(path.join(MODULES, TIMELOCK), "utf8") } };
const hashes = {};
for (const name of fs.readdirSync(SOURCES).sort()) {
  const content = fs.readFileSync(path.join(SOURCES, name), "utf8");
  sources[name] = { content };
  hashes[name] = crypto.createHash("sha256").update(content).digest("hex");
}

const settings = {
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 200 },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.methodIdentifiers"] } },
};

function readImport(name) {
  const file = path.join(MODULES, name);
  if (!fs.existsSync(file)) return { error: `there is no ${name} in node_modules` };
  return { contents: fs.readFileSync(file, "utf8") };
}

const input = { language: "Solidity", sources, settings };
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
const messages = output.errors || [];
// The library warns of a name that Solidity will reserve one day; what concerns src/ is shown.
const shown = messages.filter(
  (message) => message.severity === "error" || message.sourceLocation?.file in hashes
);
for (const message of shown) console.error(message.formattedMessage);
if (shown.some((message) => message.severity === "error")) process.exit(1);

function errorSelectors(abi) {
  const selectors = {};
  for (const item of abi.filter((entry) => entry.type === "error")) {
    const signature = `${item.name}(${item.inputs.map((field) => field.type).join(",")})`;
    selectors[item.name] = keccak256(signature).slice(0, 8);
  }
  return selectors;
}

const contracts = {};
for (const file of Object.keys(sources)) {
  for (const [name, contract] of Object.entries(output.contracts[file])) {
    contracts[name] = {
      bytecode: contract.evm.bytecode.object,
      functions: contract.evm.methodIdentifiers,
      errors: errorSelectors(contract.abi),
    };
  }
}

fs.mkdirSync(path.dirname(OUTPUT), { recursive: true });
const result = { solc: solc.version(), sources: hashes, contracts };
fs.writeFileSync(OUTPUT, JSON.stringify(result, null, 1) + "\n");
console.log(`${path.relative(process.cwd(), OUTPUT)}: ${Object.keys(contracts).join(", ")}`);
