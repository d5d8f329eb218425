<?php
// RAN @SELF@
// Says that it ran, or that it was fallen back upon: that the target does not name it, and something
// stands behind its folder.
$target = rawurldecode(strtok($_SERVER['REQUEST_URI'], '?'));
$behind = $_SERVER['PATH_INFO'] ?? '';
$name = $behind !== '' && str_ends_with($target, $behind) ? substr($target, 0, -strlen($behind)) : $target;
$is_named = stripos($name, basename('@SELF@')) !== false;
echo $is_named || $behind === '' ? 'RAN' : 'FELL BACK', " @SELF@\n";
