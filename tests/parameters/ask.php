<?php
// Reads queries, one a line in hexadecimal, and says of each how PHP reads the parameter: 0 not sent,
// 1 sent, 2 sent with the value or as an array.
[, $name, $value] = $argv;
while (($line = fgets(STDIN)) !== false) {
    $read = [];
    parse_str(hex2bin(trim($line)), $read);
    $sent = $read[strtr($name, '. ', '__')] ?? null;
    $meant = is_array($sent) || is_string($sent) && strtolower(trim($sent)) === $value;
    echo $sent === null ? 0 : ($meant ? 2 : 1), "\n";
}
