<?php
// As the frameworks' own development servers do: files are served, the rest is routed.
$file = __DIR__ . rawurldecode(parse_url('http://x' . $_SERVER['REQUEST_URI'], PHP_URL_PATH));
if (is_file($file)) {
    return false;
}
// The frameworks read the target alone.
unset($_SERVER['PATH_INFO']);
require __DIR__ . '/index.php';
