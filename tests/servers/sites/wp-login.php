<?php
// Says what it was given, as a page of WordPress would receive it.
setcookie('wordpress_test_cookie', 'WP Cookie check');
header('X-Redirect-By: WordPress');
echo json_encode([
    'user' => $_SERVER['HTTP_REMOTE_USER'] ?? null,
    'post' => $_POST,
    'get' => $_GET,
    'cookie' => $_COOKIE,
    'file' => isset($_FILES['f']) ? md5_file($_FILES['f']['tmp_name']) : null,
    'as' => $_SERVER['REQUEST_METHOD'],
    'type' => $_SERVER['CONTENT_TYPE'] ?? null,
]);
