<?php
// A front controller, as WordPress, Symfony and Laravel have one: routes by what stands behind its
// name, or by the target where nothing does. Neither empty segments nor formats count. What it does not
// know it runs itself, and says whether it was asked for or fallen back upon. Below /echo it tells the
// target as it arrived.
$target = rawurldecode(strtok($_SERVER['REQUEST_URI'], '?'));
$target = preg_replace(['#//+#', '#^@FOLDER@(?=/)#'], ['/', ''], $target);
$route = ($_SERVER['PATH_INFO'] ?? '') ?: preg_replace('#^/index\.php(?=/|$)#', '', $target);
$route = '/' . trim(preg_replace('#//+#', '/', $route), '/');
if (str_starts_with($target, '/echo')) {
    echo "[$_SERVER[REQUEST_URI]]";
} elseif (preg_match('#^/(panel|users)\.\w+$#', $route, $found)) {
    echo "RAN @FOLDER@/$found[1]\n";
} elseif (preg_match('#^/(panel|users)(/|$)#', $route)) {
    echo "RAN @FOLDER@$route\n";
} else {
    $has_more = !empty($_SERVER['PATH_INFO']) && stripos($target, '/index.php') !== false;
    $is_named = $route === '/' || $has_more;
    echo $is_named ? 'RAN' : 'FELL BACK', " @FOLDER@/index.php\n";
}
